import type { ChunkRef } from '../../castore/blob-store.ts'
import { Blake3Hasher } from '../../foundation/blake3.ts'
import { Digest } from '../../foundation/digest.ts'
import type { Pieces } from './pieces.ts'

/** Small chunks are gathered to pieces of up to so many bytes; large ones are pieces themselves. */
export const PIECE_BYTES = 256 * 1024

/** How many pieces there are at the most, about: beyond that each of them gets longer. */
export const PIECES_MAX = 65_536

/** How many chunks one piece may have. */
export const PIECE_CHUNKS_MAX = 512

/**
 * All content below a root, cut into pieces of similar weight: runs of chunks, each chunk in the
 * place where it comes first. Nodes that cut the root's blobs alike have the same list, and tell
 * each other by the pieces' numbers what they hold.
 */
export class PieceList implements Pieces {
  /** Names the list: equal for equal lists. */
  readonly id: Digest
  /** Every distinct chunk, in order. */
  readonly chunks: readonly ChunkRef[]
  /** Of each piece, the number of its first chunk; behind them, the number of chunks. */
  readonly #begins: readonly number[]
  readonly #pieceOf: Uint32Array

  private constructor(chunks: readonly ChunkRef[], begins: readonly number[]) {
    this.chunks = chunks
    this.#begins = begins
    this.#pieceOf = new Uint32Array(chunks.length)
    for (let piece = 0; piece < this.size; piece++) {
      this.#pieceOf.fill(piece, begins[piece], begins[piece + 1])
    }
    this.id = nameOf(chunks, begins)
  }

  /** The pieces of blobs that are cut like this; the order of the blobs is theirs. */
  static of(layouts: Iterable<readonly ChunkRef[]>): PieceList {
    const chunks = distinct(layouts)
    const total = chunks.reduce((sum, { size }) => sum + size, 0)
    const pieceBytes = Math.max(PIECE_BYTES, total / PIECES_MAX)
    const begins: number[] = []
    let bytes = 0
    for (const [i, { size }] of chunks.entries()) {
      const begin = begins.at(-1)
      const isFull =
        begin === undefined || bytes + size > pieceBytes || i - begin >= PIECE_CHUNKS_MAX
      if (isFull) begins.push(i)
      bytes = isFull ? size : bytes + size
    }
    return new PieceList(chunks, [...begins, chunks.length])
  }

  /** How many pieces there are. */
  get size(): number {
    return this.#begins.length - 1
  }

  /** The numbers of a piece's chunks: from the first on, up to before the second. */
  chunksOf(piece: number): readonly [number, number] {
    return [this.#begins[piece]!, this.#begins[piece + 1]!]
  }

  /** The number of the piece that a chunk belongs to. */
  pieceOf(chunk: number): number {
    return this.#pieceOf[chunk]!
  }
}

function distinct(layouts: Iterable<readonly ChunkRef[]>): ChunkRef[] {
  const met = new Set<string>()
  const chunks: ChunkRef[] = []
  for (const layout of layouts) {
    for (const chunk of layout) {
      if (met.has(chunk.digest.hex)) continue
      met.add(chunk.digest.hex)
      chunks.push(chunk)
    }
  }
  return chunks
}

function nameOf(chunks: readonly ChunkRef[], begins: readonly number[]): Digest {
  const hasher = new Blake3Hasher()
  hasher.update(Buffer.from('cairn/pieces/'))
  const numbers = Buffer.alloc(begins.length * 4)
  for (const [i, begin] of begins.entries()) numbers.writeUInt32LE(begin, i * 4)
  hasher.update(numbers)
  for (const { digest } of chunks) hasher.update(digest.bytes)
  return Digest.of(hasher.digest())
}
