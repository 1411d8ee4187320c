import type { Call } from '../foundation/call.ts'
import type { BlobSource, BlobStore } from './blob-store.ts'
import type { DirectorySource, DirectoryStore } from './directory-store.ts'

/** Where blobs and Directories can be read. */
export interface ReadableCastore {
  readonly blobs: BlobSource
  readonly directories: DirectorySource
}

/** Blobs and Directories together: where the content of store paths lives. */
export interface Castore extends ReadableCastore {
  readonly blobs: BlobStore
  readonly directories: DirectoryStore
  /** Resolves once all that was put before is on stable storage. */
  sync(call: Call): Promise<void>
}
