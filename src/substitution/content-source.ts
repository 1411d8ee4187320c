import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'

/** The port to where content may come from when nothing but its digest is known: neighbours. */
export interface ContentSource {
  readonly name: string
  /** Brings a whole blob into a castore, proven; false where nobody has it. @throws as it fails */
  fetchBlob(digest: Digest, into: Castore, call: Call): Promise<boolean>
  /** Brings a Directory and all below it, not their blobs; false where nobody has them. */
  fetchDirectories(root: Digest, into: Castore, call: Call): Promise<boolean>
}
