import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Digest } from '../../foundation/digest.ts'
import { PIECE_BYTES, PIECE_CHUNKS_MAX, PIECES_MAX } from './piece-list.ts'
import type { Pieces } from './pieces.ts'

/** How many pieces a list that grows can have: chunks that would need more are left out. */
export const GROWING_PIECES_MAX = 4 * PIECES_MAX

/** What a file takes of a NAR at least, in bytes: its name and the words around its content. */
const FILE_BYTES_MIN = 96

/**
 * The pieces of content of which only the length is known, while its chunks become known one after
 * the other. Pieces are cut as in a {@link PieceList}, so that who is told the same chunks has the
 * same pieces, and follow from the chunks before them alone: a piece that is there never changes.
 */
export class GrowingPieceList implements Pieces {
  readonly id: Digest
  readonly size: number
  readonly #pieceBytes: number
  readonly #met = new Set<string>()
  readonly #chunks: ChunkRef[] = []
  readonly #begins: number[] = []
  readonly #pieceOf: number[] = []
  /** What the last piece has so far. */
  #openBytes = 0
  #isEnded = false

  /**
   * @param init.id names the list
   * @param init.bytes how long the content is at the most: how long pieces are follows from it
   */
  constructor(init: { readonly id: Digest; readonly bytes: number }) {
    this.id = init.id
    this.#pieceBytes = Math.max(PIECE_BYTES, init.bytes / PIECES_MAX)
    // Two pieces next to each other are longer than one may be, or have all the chunks they may.
    const byBytes = Math.ceil((2 * init.bytes) / this.#pieceBytes)
    const byChunks = Math.ceil(init.bytes / FILE_BYTES_MIN / PIECE_CHUNKS_MAX)
    this.size = Math.min(byBytes + byChunks + 1, GROWING_PIECES_MAX)
  }

  get chunks(): readonly ChunkRef[] {
    return this.#chunks
  }

  /** How many pieces are there that will not change any more. */
  get closed(): number {
    return this.#isEnded ? this.#begins.length : Math.max(0, this.#begins.length - 1)
  }

  /** The next chunk; one that was there before, or for which there is no room, is left out. */
  add(chunk: ChunkRef): void {
    if (this.#isEnded || this.#met.has(chunk.digest.hex)) return
    const begin = this.#begins.at(-1)
    const count = this.#chunks.length
    const isFull =
      begin === undefined ||
      this.#openBytes + chunk.size > this.#pieceBytes ||
      count - begin >= PIECE_CHUNKS_MAX
    if (isFull && this.#begins.length >= this.size) return
    if (isFull) this.#begins.push(count)
    this.#met.add(chunk.digest.hex)
    this.#openBytes = isFull ? chunk.size : this.#openBytes + chunk.size
    this.#chunks.push(chunk)
    this.#pieceOf.push(this.#begins.length - 1)
  }

  /** There are no more chunks: the last piece is whole. */
  end(): void {
    this.#isEnded = true
  }

  chunksOf(piece: number): readonly [number, number] {
    return [this.#begins[piece]!, this.#begins[piece + 1] ?? this.#chunks.length]
  }

  pieceOf(chunk: number): number {
    return this.#pieceOf[chunk]!
  }
}
