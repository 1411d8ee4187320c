import type { BlobStore, ChunkRef } from '../../castore/blob-store.ts'
import type { Outboard } from '../../castore/verified/outboard.ts'
import { type BuiltOutboard, OutboardBuilder } from '../../castore/verified/outboard-builder.ts'
import { RangeProver } from '../../castore/verified/range-prover.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'

/**
 * How many bytes of chunks that came too early are kept in memory for one fetch: more than several
 * holders have on their way at once, so that hardly anything is read back.
 */
export const EARLY_BYTES_MAX = 16 * 1024 * 1024

/** How many chunks are read back at once, where there was no room to keep them. */
const READ_CHUNKS_MAX = 8

/** The room for early chunks that the assemblies of one fetch share. */
export interface EarlyRoom {
  bytes: number
}

/** What is done with a blob's bytes as they come, in their order. */
interface Hashing {
  /** @throws ProofError where they are not the blob's, if that is known by now */
  push(bytes: Uint8Array): void
  finish(): BuiltOutboard
}

/**
 * Puts one blob together of chunks that come in any order. The layout is a hint: the whole is
 * hashed as it comes, and what proves ranges of the blob comes of the same pass. With an outboard,
 * which is as little believed, a false layout is noticed with the first group that is wrong,
 * otherwise at the end. What comes early waits in memory for what is before it; where there is no
 * room, it is read back from the store in the end.
 */
export class BlobAssembly {
  readonly digest: Digest
  readonly layout: readonly ChunkRef[]
  readonly size: number
  readonly #hashing: Hashing
  readonly #here: boolean[]
  readonly #early = new Map<number, Uint8Array>()
  readonly #room: EarlyRoom
  #missing: number
  /** Up to where the chunks have been hashed. */
  #hashed = 0

  constructor(
    digest: Digest,
    layout: readonly ChunkRef[],
    room: EarlyRoom = { bytes: EARLY_BYTES_MAX },
    outboard?: Outboard,
  ) {
    this.digest = digest
    this.layout = layout
    this.size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
    this.#room = room
    this.#hashing = outboard === undefined ? new OutboardBuilder() : proving(outboard)
    this.#here = layout.map(() => false)
    this.#missing = layout.length
  }

  /** Whether all chunks are here. */
  get isWhole(): boolean {
    return this.#missing === 0
  }

  /** How many bytes of its chunks are here. */
  get bytesHere(): number {
    return this.layout.reduce((sum, { size }, i) => (this.#here[i] === true ? sum + size : sum), 0)
  }

  /**
   * Chunk `index` is in the store; `bytes` are its content where it is at hand.
   * @throws ProofError where the layout has turned out to be a lie
   */
  arrived(index: number, bytes?: Uint8Array): void {
    if (this.#here[index] === true) return
    if (bytes !== undefined && index === this.#hashed) {
      this.#hash(bytes)
      for (let next = this.#takeEarly(); next !== undefined; next = this.#takeEarly()) {
        this.#hash(next)
      }
    } else if (bytes !== undefined && bytes.length <= this.#room.bytes) {
      this.#room.bytes -= bytes.length
      this.#early.set(index, bytes)
    }
    this.#here[index] = true
    this.#missing--
  }

  /** Gives up: what waits in memory is let go of. */
  abandon(): void {
    for (const bytes of this.#early.values()) this.#room.bytes += bytes.length
    this.#early.clear()
  }

  /**
   * Ends the assembly: from now on the blob can be read.
   * @throws CastoreError 'digest-mismatch' or ProofError where the layout was a lie
   */
  async finish(blobs: BlobStore, call: Call): Promise<void> {
    while (this.#hashed < this.layout.length) {
      const end = Math.min(this.#hashed + READ_CHUNKS_MAX, this.layout.length)
      const away: number[] = []
      for (let i = this.#hashed; i < end; i++) if (!this.#early.has(i)) away.push(i)
      const contents = await this.#readBack(away, blobs, call)
      while (this.#hashed < end) {
        this.#hash(this.#takeEarly() ?? contents.shift()!)
      }
    }
    await blobs.assemble(this.digest, this.layout, call, this.#hashing.finish())
  }

  async #readBack(indices: number[], blobs: BlobStore, call: Call): Promise<Uint8Array[]> {
    if (indices.length === 0) return []
    const contents = await blobs.readChunks(
      indices.map((index) => this.layout[index]!.digest),
      call,
    )
    return contents.map((bytes) => {
      if (bytes === undefined) throw new Error('a chunk that had arrived is not in the store')
      return bytes
    })
  }

  #hash(bytes: Uint8Array): void {
    this.#hashing.push(bytes)
    this.#hashed++
  }

  /** The next chunk to be hashed, if it is kept. */
  #takeEarly(): Uint8Array | undefined {
    const bytes = this.#early.get(this.#hashed)
    if (bytes === undefined) return undefined
    this.#early.delete(this.#hashed)
    this.#room.bytes += bytes.length
    return bytes
  }
}

function proving(outboard: Outboard): Hashing {
  const { digest, bytes, shape } = outboard
  const prover = new RangeProver(outboard, { offset: 0, length: shape.size })
  return {
    push: (piece) => void prover.take(piece),
    finish: () => {
      prover.finish()
      return { digest, size: shape.size, outboard: bytes }
    },
  }
}
