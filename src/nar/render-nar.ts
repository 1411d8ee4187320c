import type { DirectorySource } from '../castore/directory-store.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { DirectoryTree } from './directory-tree.ts'
import { planNar } from './nar-plan.ts'
import { PieceCoalescer } from './piece-coalescer.ts'
import { type ContentSource, readContents } from './read-contents.ts'

/** What a NAR is made from: the reading side of a castore. */
export interface NarSource {
  readonly blobs: ContentSource
  readonly directories: Pick<DirectorySource, 'closure'>
}

export interface RenderInit {
  /** The first byte of the NAR that is wanted; 0 by default. */
  readonly offset?: number
  /** How many bytes are wanted; all up to the end by default. */
  readonly length?: number
}

/**
 * The NAR of a node, or a range of its bytes, as `nix-store --dump` would write it. Contents are
 * read ahead of the consumer, many small files at once; what lies before the range is not read.
 * Pieces have 64 KiB and more wherever there is that much.
 * @throws NarError where anything is missing, or of another size than it should be: the stream
 *   breaks then and never ends as if it were whole; CastoreError where what is held is rotten
 */
export async function* renderNar(
  node: Node,
  from: NarSource,
  call: Call,
  init: RenderInit = {},
): AsyncGenerator<Uint8Array> {
  const range = rangeOf(init)
  await using tree = new DirectoryTree(from.directories, node, call)
  const coalescer = new PieceCoalescer()
  const pieces: Uint8Array[] = []
  for await (const parts of readContents(planNar(node, tree, range), from.blobs, call)) {
    for (const part of parts) coalescer.push(part, pieces)
    for (const piece of pieces) {
      call.signal.throwIfAborted()
      yield piece
    }
    pieces.length = 0
  }
  coalescer.finish(pieces)
  yield* pieces
}

function rangeOf({ offset = 0, length = Number.POSITIVE_INFINITY }: RenderInit): {
  from: number
  to: number
} {
  if (!Number.isSafeInteger(offset) || offset < 0 || Number.isNaN(length) || length < 0) {
    throw new RangeError(`no range of bytes: ${length} bytes from ${offset}`)
  }
  return { from: offset, to: offset + length }
}
