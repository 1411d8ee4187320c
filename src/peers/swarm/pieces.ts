import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Digest } from '../../foundation/digest.ts'

/** Content cut into numbered pieces, each a run of chunks: whole from the start, or growing. */
export interface Pieces {
  /** Names the list: who has another one has other numbers. */
  readonly id: Digest
  /** How many pieces there are; of a list that grows, how many there can be. */
  readonly size: number
  /** Every distinct chunk, in order. */
  readonly chunks: readonly ChunkRef[]
  /** The numbers of a piece's chunks: from the first on, up to before the second. */
  chunksOf(piece: number): readonly [number, number]
  /** The number of the piece that a chunk belongs to. */
  pieceOf(chunk: number): number
}
