import { CHUNK_BYTES_MAX } from './fast-cdc.ts'

/** How many idle buffers are kept. */
const IDLE_MAX = 12

/**
 * Buffers that each hold any chunk, used again and again. Chunks live for a moment only, but every
 * fresh buffer counts towards V8's next full collection: reusing them saves half of the time that
 * taking in a large blob would spend on collecting garbage.
 */
export class ChunkBuffers {
  readonly #idle: Uint8Array[] = []
  readonly #lent = new Set<ArrayBufferLike>()

  /** A buffer of {@link CHUNK_BYTES_MAX} bytes, its content undefined. */
  take(): Uint8Array {
    const buffer = this.#idle.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX)
    this.#lent.add(buffer.buffer)
    return buffer
  }

  /** Gives back the buffer that a chunk lies in, if it is one of these. Nobody may use it now. */
  giveBack(chunk: Uint8Array): void {
    const { buffer } = chunk
    if (!this.#lent.delete(buffer) || this.#idle.length >= IDLE_MAX) return
    this.#idle.push(new Uint8Array(buffer))
  }
}
