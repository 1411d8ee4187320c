import { GearHash, type Mask } from './gear-hash.ts'

/** Length of the shortest chunk that is not the last of its blob, in bytes. */
export const CHUNK_BYTES_MIN = 128 * 1024

/** The length that chunks tend to, in bytes. */
export const CHUNK_BYTES_AVG = 256 * 1024

/** Length of the longest chunk, in bytes. */
export const CHUNK_BYTES_MAX = 512 * 1024

/** Pushed pieces below this many bytes are gathered, so that few pieces make up a chunk. */
const GATHERED_PIECE_BYTES_MAX = 4 * 1024

/** Length of the buffer that small pieces are gathered in, in bytes. */
const GATHERING_BYTES = 64 * 1024

export interface ChunkerInit {
  /** Bytes, {@link CHUNK_BYTES_MIN} by default: that of tvix and snix, to share chunks. */
  readonly bytesMin?: number
  /** Bytes, 256 B to 4 MiB, {@link CHUNK_BYTES_AVG} by default, for the same reason. */
  readonly bytesAvg?: number
  /** Bytes, {@link CHUNK_BYTES_MAX} by default, for the same reason. */
  readonly bytesMax?: number
  /**
   * Where chunks are put together that come in several pieces: a buffer of at least so many bytes.
   * Fresh memory by default.
   */
  readonly allocate?: (bytes: number) => Uint8Array
}

/**
 * Cuts one blob into content-defined chunks: FastCDC (Xia et al., 2020) exactly as `v2020` of the
 * Rust crate fastcdc cuts it with normalization level 1, however the blob is split into pieces.
 *
 * What is pushed must not be changed afterwards: a chunk that lies within one piece is a view of
 * it; others are copied together once. Up to one chunk less a byte is held back between pushes.
 */
export class Chunker {
  readonly #bytesMin: number
  readonly #bytesMax: number
  // Up to the center a cut is made unlikely, beyond it likely.
  readonly #center: number
  readonly #unlikely: Mask
  readonly #likely: Mask
  readonly #allocate: (bytes: number) => Uint8Array

  readonly #hash = new GearHash()
  #held: Uint8Array[] = []
  #heldBytes = 0
  /** How far the open chunk has been looked at, in bytes from its beginning. */
  #seen: number
  #gathering = new Uint8Array(0)
  #gathered = 0

  constructor(init: ChunkerInit = {}) {
    const bytesAvg = init.bytesAvg ?? CHUNK_BYTES_AVG
    this.#bytesMin = init.bytesMin ?? CHUNK_BYTES_MIN
    this.#bytesMax = init.bytesMax ?? CHUNK_BYTES_MAX
    this.#center = even(bytesAvg)
    const bits = Math.round(Math.log2(bytesAvg))
    this.#unlikely = maskOf(bits + 1)
    this.#likely = maskOf(bits - 1)
    this.#seen = even(this.#bytesMin)
    this.#allocate = init.allocate ?? ((bytes) => Buffer.allocUnsafeSlow(bytes))
  }

  /** Takes the next bytes of the blob; says the chunks that are whole by now. */
  push(bytes: Uint8Array): Uint8Array[] {
    const chunks: Uint8Array[] = []
    let from = 0
    for (let cut = this.#cut(bytes, from); cut !== undefined; cut = this.#cut(bytes, from)) {
      const fresh = cut - this.#heldBytes
      chunks.push(fresh < 0 ? this.#takeHeldButLast() : this.#take(bytes, from, from + fresh))
      if (fresh > 0) from += fresh
    }
    if (from < bytes.length) this.#hold(from === 0 ? bytes : bytes.subarray(from))
    return chunks
  }

  /** Ends the blob: the last chunk, or undefined where nothing is left. Another blob may follow. */
  finish(): Uint8Array | undefined {
    if (this.#heldBytes === 0) return undefined
    return this.#take(new Uint8Array(0), 0, 0)
  }

  /** Where the open chunk ends, in bytes from its beginning: of what is held, then `bytes`. */
  #cut(bytes: Uint8Array, from: number): number | undefined {
    const available = this.#heldBytes + bytes.length - from
    // The crate looks at bytes in pairs, and never at an odd last one; so one may be left over
    // from what is held.
    const end = even(Math.min(available, this.#bytesMax))
    if (this.#seen < Math.min(end, this.#heldBytes)) {
      const last = this.#held.at(-1)!
      const found = this.#roll(last, last.length - this.#heldBytes, this.#seen + 1)
      if (found !== undefined) return found
    }
    const found = this.#roll(bytes, from - this.#heldBytes, end)
    if (found !== undefined) return found
    return available < this.#bytesMax ? undefined : this.#bytesMax
  }

  /** Looks at the chunk's bytes up to `end`, its first being `bytes[shift]`, for where to cut. */
  #roll(bytes: Uint8Array, shift: number, end: number): number | undefined {
    const middle = Math.min(end, this.#center)
    for (const [to, mask] of [
      [middle, this.#unlikely],
      [end, this.#likely],
    ] as const) {
      if (this.#seen >= to) continue
      const at = this.#hash.roll(bytes, this.#seen + shift, to + shift, mask)
      if (at >= 0) return at - shift
      this.#seen = to
    }
    return undefined
  }

  #take(bytes: Uint8Array, from: number, to: number): Uint8Array {
    const rest = bytes.subarray(from, to)
    const chunk = this.#joined([...this.#held, rest])
    this.#begin([], 0)
    return chunk
  }

  #takeHeldButLast(): Uint8Array {
    const last = this.#held.pop()!
    const chunk = this.#joined([...this.#held, last.subarray(0, -1)])
    this.#begin([last.subarray(-1)], 1)
    return chunk
  }

  #joined(pieces: readonly Uint8Array[]): Uint8Array {
    const parts = pieces.filter((piece) => piece.length > 0)
    if (parts.length === 1) return parts[0]!
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    const chunk = this.#allocate(bytes).subarray(0, bytes)
    let at = 0
    for (const part of parts) {
      chunk.set(part, at)
      at += part.length
    }
    return chunk
  }

  #begin(held: Uint8Array[], heldBytes: number): void {
    this.#held = held
    this.#heldBytes = heldBytes
    this.#seen = even(this.#bytesMin)
    this.#hash.reset()
  }

  #hold(piece: Uint8Array): void {
    this.#heldBytes += piece.length
    if (piece.length >= GATHERED_PIECE_BYTES_MAX) {
      this.#held.push(piece)
      return
    }
    if (this.#gathered + piece.length > this.#gathering.length) {
      this.#gathering = new Uint8Array(GATHERING_BYTES)
      this.#gathered = 0
    }
    const from = this.#gathered
    this.#gathering.set(piece, from)
    this.#gathered += piece.length
    const last = this.#held.at(-1)
    const adjoins =
      last?.buffer === this.#gathering.buffer && last.byteOffset + last.length === from
    const begin = adjoins ? last.byteOffset : from
    if (adjoins) this.#held.pop()
    this.#held.push(this.#gathering.subarray(begin, this.#gathered))
  }
}

// The crate's masks (from its C reference and from restic), by the binary logarithm of
// the average that they are for; the first is the one for 2^7 bytes.
const MASK_BITS_MIN = 7
const MASKS = [
  0x000018035100, 0x001800035300, 0x019000353000, 0x590003530000, 0xd90003530000, 0xd90103530000,
  0xd90303530000, 0xd90313530000, 0xd90f03530000, 0xd90303537000, 0xd90703537000, 0xd90707537000,
  0xd91707537000, 0xd91747537000, 0xd91767537000, 0xd93767537000, 0xd93777537000,
]

function maskOf(bits: number): Mask {
  const mask = MASKS[bits - MASK_BITS_MIN]
  if (mask === undefined) throw new RangeError(`no FastCDC mask for chunks of 2^${bits} bytes`)
  return { hi: Math.floor(mask / 2 ** 24), lo: mask % 2 ** 24 }
}

function even(count: number): number {
  return count - (count % 2)
}
