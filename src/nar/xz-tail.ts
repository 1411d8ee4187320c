import { crc32 } from 'node:zlib'

/** Length of a Stream Footer, by the .xz file format 1.2.1 §2.1.2; padding comes in fours. */
const FOOTER_BYTES = 12
const ALIGNMENT_BYTES = 4
const FOOTER_MAGIC = 'YZ'

/**
 * Watches the end of an xz stream. liblzma, as it is bound here, takes a stream for whole that was
 * cut within its index or footer, since all of the content has come by then.
 */
export class XzTail {
  #bytes = 0
  #zeros = 0
  /** The last bytes before what may be padding. */
  #tail = Buffer.alloc(0)

  push(piece: Uint8Array): void {
    this.#bytes += piece.length
    let end = piece.length
    while (end > 0 && piece[end - 1] === 0) end--
    if (end === 0) {
      this.#zeros += piece.length
      return
    }
    // Zeros within the footer are few: those that came before are part of it or do not matter.
    const before = Buffer.alloc(Math.min(this.#zeros, FOOTER_BYTES))
    const last = piece.subarray(Math.max(0, end - FOOTER_BYTES), end)
    this.#tail = Buffer.concat([this.#tail, before, last]).subarray(-FOOTER_BYTES)
    this.#zeros = piece.length - end
  }

  /** Whether the stream ended with a whole footer, and padding of the right length. */
  get isWhole(): boolean {
    const tail = this.#tail
    if (this.#bytes % ALIGNMENT_BYTES !== 0 || this.#zeros % ALIGNMENT_BYTES !== 0) return false
    if (tail.length < FOOTER_BYTES || tail.toString('latin1', 10) !== FOOTER_MAGIC) return false
    return tail.readUInt32LE(0) === crc32(tail.subarray(4, 10))
  }
}
