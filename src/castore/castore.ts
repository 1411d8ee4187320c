import type { Call } from '../foundation/call.ts'
import type { BlobStore } from './blob-store.ts'
import type { DirectoryStore } from './directory-store.ts'

/** Blobs and Directories together: where the content of store paths lives. */
export interface Castore {
  readonly blobs: BlobStore
  readonly directories: DirectoryStore
  /** Resolves once all that was put before is on stable storage. */
  sync(call: Call): Promise<void>
}
