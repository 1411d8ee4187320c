import type { Castore } from '../../castore/castore.ts'
import type { Call } from '../../foundation/call.ts'
import { Digest } from '../../foundation/digest.ts'
import type { PieceIntake } from './piece-exchange.ts'
import type { Pieces } from './pieces.ts'
import { storeTaken, type TakenChunk } from './taken-chunks.ts'

/**
 * Takes in chunks of which nobody knows yet what blobs they belong to. Each names itself; that is
 * all that is known of it.
 */
export class ChunkIntake implements PieceIntake {
  readonly #castore: Pick<Castore, 'blobs'>
  readonly #pieces: Pieces
  readonly #onTaken: (chunks: readonly Digest[]) => void
  readonly #onOtherSize: () => void
  /** Chunks that are here. */
  readonly #here = new Set<number>()

  /**
   * @param init.onTaken is told of chunks that others have sent here, once they are stored
   * @param init.onOtherSize is told where a chunk is not as long as the list says
   */
  constructor(
    components: { castore: Pick<Castore, 'blobs'>; pieces: Pieces },
    init: {
      readonly onTaken: (chunks: readonly Digest[]) => void
      readonly onOtherSize: () => void
    },
  ) {
    this.#castore = components.castore
    this.#pieces = components.pieces
    this.#onTaken = init.onTaken
    this.#onOtherSize = init.onOtherSize
  }

  /** Notes which chunks of pieces that have become known are in the store already. */
  async takeHeld(pieces: readonly number[], call: Call): Promise<void> {
    const chunks = pieces.flatMap((piece) => this.missingOf(piece))
    const digests = chunks.map((chunk) => this.#pieces.chunks[chunk]!.digest)
    const sizes = await this.#castore.blobs.chunkSizes(digests, call)
    for (const [at, chunk] of chunks.entries()) if (sizes[at] !== undefined) this.#here.add(chunk)
  }

  /** How many bytes of a piece are not here. */
  bytesMissing(piece: number): number {
    return this.missingOf(piece).reduce((sum, i) => sum + this.#pieces.chunks[i]!.size, 0)
  }

  missingOf(piece: number): number[] {
    const [begin, end] = this.#pieces.chunksOf(piece)
    const missing: number[] = []
    for (let chunk = begin; chunk < end; chunk++) if (!this.#here.has(chunk)) missing.push(chunk)
    return missing
  }

  isHere(piece: number): boolean {
    return this.missingOf(piece).length === 0
  }

  /** Whoever sends the right chunk is not to blame for a list that is wrong about its length. */
  isRight(chunk: number, bytes: Uint8Array): boolean {
    const { digest, size } = this.#pieces.chunks[chunk]!
    if (bytes.length === size) return true // hashed when it is stored
    if (!Digest.ofContent(bytes).equals(digest)) return false
    this.#onOtherSize()
    return true
  }

  async take(peer: string, taken: readonly TakenChunk[], call: Call): Promise<void> {
    const fresh = taken.filter(({ chunk }) => !this.#here.has(chunk))
    await storeTaken({ castore: this.#castore, pieces: this.#pieces }, peer, fresh, call)
    this.#onTaken(fresh.map(({ chunk }) => this.#pieces.chunks[chunk]!.digest))
    for (const { chunk } of fresh) this.#here.add(chunk)
  }
}
