import { concatBytes } from '../../foundation/bytes.ts'
import { FRAME_BYTES_MAX, FRAME_PREFIX_BYTES } from './frame-channel.ts'
import { FrameError } from './frame-error.ts'

/**
 * Splits a stream of bytes into length-prefixed frames. Allocates for a frame only what has arrived
 * of it, whatever length it claims.
 */
export class FrameSplitter {
  readonly #frameBytesMax: number
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(_components: object = {}, init: { frameBytesMax?: number | undefined } = {}) {
    this.#frameBytesMax = init.frameBytesMax ?? FRAME_BYTES_MAX
  }

  /** How many bytes wait for the rest of their frame. */
  get partialBytes(): number {
    return this.#bytes
  }

  /** Takes the next bytes; returns the frames that are whole now. @throws FrameError */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#parts.push(bytes)
    this.#bytes += bytes.length
    const frames: Uint8Array[] = []
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame)
    return frames
  }

  #next(): Uint8Array | undefined {
    if (this.#bytes < FRAME_PREFIX_BYTES) return undefined
    const length = this.#peekLength()
    if (length > this.#frameBytesMax) {
      const what = `a frame has at most ${this.#frameBytesMax} bytes here, not ${length}`
      throw new FrameError({ code: 'too-long' }, what)
    }
    if (this.#bytes < FRAME_PREFIX_BYTES + length) return undefined
    this.#take(FRAME_PREFIX_BYTES)
    return this.#take(length)
  }

  #peekLength(): number {
    if (this.#parts[0]!.length < FRAME_PREFIX_BYTES) this.#parts = [concatBytes(this.#parts)]
    const [a, b, c, d] = this.#parts[0]!
    return a! * 2 ** 24 + ((b! << 16) | (c! << 8) | d!)
  }

  #take(length: number): Uint8Array {
    const taken: Uint8Array[] = []
    let wanted = length
    while (wanted > 0) {
      const part = this.#parts[0]!
      if (part.length <= wanted) {
        taken.push(part)
        this.#parts.shift()
        wanted -= part.length
      } else {
        taken.push(part.subarray(0, wanted))
        this.#parts[0] = part.subarray(wanted)
        wanted = 0
      }
    }
    this.#bytes -= length
    return taken.length === 0 ? new Uint8Array(0) : concatBytes(taken)
  }
}

/** The prefix of a frame of that many bytes. */
export function framePrefix(bytes: number): Uint8Array {
  return Uint8Array.of(bytes >>> 24, (bytes >>> 16) & 0xff, (bytes >>> 8) & 0xff, bytes & 0xff)
}
