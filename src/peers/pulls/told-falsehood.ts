import type { ChunkRef } from '../../castore/blob-store.ts'
import type { ReadableCastore } from '../../castore/castore.ts'
import type { FileNode, Node } from '../../castore/model/node.ts'
import { Blake3Hasher } from '../../foundation/blake3.ts'
import type { Call } from '../../foundation/call.ts'
import { Digest } from '../../foundation/digest.ts'

/** What of a path is looked at to judge what was told of it. */
export type ToldCastore = {
  readonly blobs: Pick<ReadableCastore['blobs'], 'layouts' | 'open'>
  readonly directories: Pick<ReadableCastore['directories'], 'get'>
}

/**
 * In words, what is wrong with the chunks that somebody told of a path which is here and proven, in
 * the order of its NAR; undefined where nothing is. Chunks may end early, and files may be cut in
 * any way: chunks that are not as they are here are held against the bytes.
 */
export async function toldFalsehood(
  told: readonly ChunkRef[],
  root: Node,
  castore: ToldCastore,
  call: Call,
): Promise<string | undefined> {
  let at = 0
  for await (const file of filesOf(root, castore, call)) {
    const begin = at
    let bytes = 0
    for (; bytes < file.size && at < told.length; at++) bytes += told[at]!.size
    if (bytes > file.size) return 'a chunk goes on behind the end of its file'
    const chunks = told.slice(begin, at)
    const other = await firstOther(chunks, file, castore, call)
    if (other !== undefined) return `chunk ${other} does not occur where it was told to`
    if (bytes < file.size) return undefined // no more was told
  }
  return at < told.length ? 'more chunks than there are' : undefined
}

/** The first chunk that is not what a file has there. */
async function firstOther(
  chunks: readonly ChunkRef[],
  { digest, size }: FileNode,
  castore: ToldCastore,
  call: Call,
): Promise<Digest | undefined> {
  const [layout] = await castore.blobs.layouts([digest], call)
  const isSame = chunks.every((chunk, i) => {
    const own = layout?.[i]
    return own?.size === chunk.size && own.digest.equals(chunk.digest)
  })
  if (isSame) return undefined
  const reader = await castore.blobs.open(digest, call, size)
  if (reader === undefined) return undefined // it has gone again: nothing can be said
  let offset = 0
  for (const chunk of chunks) {
    const hasher = new Blake3Hasher()
    for await (const piece of reader.read(offset, call, chunk.size)) hasher.update(piece)
    if (!Digest.of(hasher.digest()).equals(chunk.digest)) return chunk.digest
    offset += chunk.size
  }
  return undefined
}

/** All files below a root that are not empty, in the order of the NAR. */
async function* filesOf(root: Node, castore: ToldCastore, call: Call): AsyncGenerator<FileNode> {
  const waiting: Node[] = [root]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.type === 'file' && node.size > 0) yield node
    if (node.type !== 'directory') continue
    const directory = await castore.directories.get(node.digest, call)
    if (directory === undefined) return // it has gone again
    for (const entry of directory.entries.toReversed()) waiting.push(entry.node)
  }
}
