import type { Castore } from '../castore.ts'
import type { RecordStore } from '../record-store.ts'
import type { ChunkPacker } from './chunk-packer.ts'
import { RecordBlobStore } from './record-blob-store.ts'
import { RecordDirectoryStore } from './record-directory-store.ts'

/** Blobs and Directories kept as records of one store. */
export function recordCastore(components: { records: RecordStore; packer?: ChunkPacker }): Castore {
  return {
    blobs: new RecordBlobStore(components),
    directories: new RecordDirectoryStore(components),
    sync: (call) => components.records.sync(call),
  }
}
