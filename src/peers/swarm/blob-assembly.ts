import type { BlobStore, ChunkRef } from '../../castore/blob-store.ts'
import type { Call } from '../../foundation/call.ts'
import { type Digest, DigestBuilder } from '../../foundation/digest.ts'

/** How many chunks are read back at once, where they came out of order. */
const READ_CHUNKS_MAX = 8

/**
 * Puts one blob together of chunks that come in any order. The layout is a hint: the whole is
 * hashed, from memory where chunks come in order, else read back from the store.
 */
export class BlobAssembly {
  readonly digest: Digest
  readonly layout: readonly ChunkRef[]
  readonly size: number
  readonly #builder = new DigestBuilder()
  readonly #here: boolean[]
  #missing: number
  /** Up to where the chunks have been hashed. */
  #hashed = 0

  constructor(digest: Digest, layout: readonly ChunkRef[]) {
    this.digest = digest
    this.layout = layout
    this.size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
    this.#here = layout.map(() => false)
    this.#missing = layout.length
  }

  /** Whether all chunks are here. */
  get isWhole(): boolean {
    return this.#missing === 0
  }

  /** Chunk `index` is in the store; `bytes` are its content where it is at hand. */
  arrived(index: number, bytes?: Uint8Array): void {
    if (this.#here[index] === true) return
    this.#here[index] = true
    this.#missing--
    if (index !== this.#hashed || bytes === undefined) return
    this.#builder.update(bytes)
    this.#hashed++
  }

  /**
   * Ends the assembly: from now on the blob can be read.
   * @throws CastoreError 'digest-mismatch' where the layout was a lie
   */
  async finish(blobs: BlobStore, call: Call): Promise<void> {
    while (this.#hashed < this.layout.length) {
      const window = this.layout.slice(this.#hashed, this.#hashed + READ_CHUNKS_MAX)
      const contents = await blobs.readChunks(
        window.map((chunk) => chunk.digest),
        call,
      )
      for (const bytes of contents) {
        if (bytes === undefined) throw new Error('a chunk that had arrived is not in the store')
        this.#builder.update(bytes)
      }
      this.#hashed += window.length
    }
    await blobs.assemble(this.digest, this.layout, call, this.#builder.finish())
  }
}
