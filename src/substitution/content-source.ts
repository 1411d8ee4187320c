import type { BlobReader, NamedBlob } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'

/** The port to where content may come from when little but its digest is known: neighbours. */
export interface ContentSource {
  readonly name: string
  /** Brings a whole blob into a castore, proven; false where nobody has it. @throws as it fails */
  fetchBlob(blob: NamedBlob, into: Castore, call: Call): Promise<boolean>
  /**
   * Opens a blob to read parts of it: what is read is fetched into a castore, and proven before it
   * is handed out. Undefined where nobody has it, or can prove less than the whole; a read throws
   * SubstitutionError 'content-missing' where nobody is left who has what it needs. @throws as it
   * fails
   */
  openBlob(blob: NamedBlob, into: Castore, call: Call): Promise<BlobReader | undefined>
  /** Brings a Directory and all below it, not their blobs; false where nobody has them. */
  fetchDirectories(root: Digest, into: Castore, call: Call): Promise<boolean>
}
