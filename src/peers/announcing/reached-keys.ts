import { EMPTY_BLOB } from '../../castore/blob-store.ts'
import type { ReadableCastore } from '../../castore/castore.ts'
import type { Node } from '../../castore/model/node.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import { blobKey, chunkKey, directoryKey, pathKey } from '../routing/routing-key.ts'

/** How many files' chunk lists are looked up at once. */
const FILES_AT_ONCE = 512

/** The keys of a path itself: its name's, and its root Directory's. */
export function rootKeys({ storePath, node }: PathInfo): Uint8Array[] {
  const own = pathKey(storePath.hash)
  return node.type === 'directory' ? [own, directoryKey(node.digest)] : [own]
}

/**
 * The keys of all that a root reaches, itself included: Directories, blobs and chunks. `isNew` is
 * asked once for each key, so that it can take note of it; below a Directory that is not new
 * nothing is gone through. What is missing is left out.
 */
export async function* reachedKeys(
  castore: ReadableCastore,
  root: Node,
  isNew: (key: Uint8Array) => boolean,
  call: Call,
): AsyncGenerator<Uint8Array[]> {
  const directories: Digest[] = []
  const files: Digest[] = []
  const keys: Uint8Array[] = []
  const note = (key: Uint8Array): boolean => {
    const isNoted = isNew(key)
    if (isNoted) keys.push(key)
    return isNoted
  }
  const visit = (node: Node): void => {
    if (node.type === 'directory') {
      if (note(directoryKey(node.digest))) directories.push(node.digest)
    } else if (node.type === 'file' && !node.digest.equals(EMPTY_BLOB)) {
      if (note(blobKey(node.digest))) files.push(node.digest)
    }
  }
  visit(root)
  for (;;) {
    call.signal.throwIfAborted()
    const digest = directories.pop() // the latest first: fewer wait
    if (digest !== undefined) {
      const directory = await castore.directories.get(digest, call)
      for (const { node } of directory?.entries ?? []) visit(node)
    }
    if (files.length >= FILES_AT_ONCE || directories.length === 0) {
      for (const layout of await castore.blobs.layouts(files.splice(0, FILES_AT_ONCE), call)) {
        for (const chunk of layout ?? []) note(chunkKey(chunk.digest))
      }
      if (keys.length > 0) yield keys.splice(0)
    }
    if (directories.length === 0 && files.length === 0) return
  }
}
