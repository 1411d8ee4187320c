import type { KeyedHash } from './sip-hash.ts'

/** How many bytes a filter has at the most: enough for 2.8 million paths with room to grow. */
export const FILTER_BYTES_MAX = 4 * 1024 * 1024

/** How many bytes a filter has at least: room for 13,000 paths to come. */
export const FILTER_BYTES_MIN = 16 * 1024

/** How many bits a path takes in a filter that is made for it: a fifth of them is room to grow. */
export const BITS_PER_PATH = 12

/** With so many bits left for each, of a hundred paths that are not in it one seems to be. */
export const BITS_PER_PATH_FULL = 10

/** How many bits each path sets: what is best for between ten and twelve bits a path. */
const PROBES = 7

/**
 * A filter of more set bits than this share of all is no use: a quarter of all that is asked for
 * seems to be in it. A full one has half of them set.
 */
export const FILL_PERCENT_MAX = 80

/**
 * A Bloom filter over keyed hashes: never without what was added; what was not is in it with a
 * chance of 0.3 % when it is new, and of 0.8 % when it is full. Where a hash goes is the same for
 * all who speak the exchange protocol (enhanced double hashing: P. C. Dillinger, P. Manolios, Bloom
 * filters in probabilistic verification, 2004).
 */
export class BloomFilter {
  readonly bytes: Uint8Array

  /** Takes over the bytes of a filter, which are all 0 in an empty one. */
  constructor(bytes: Uint8Array) {
    if (!isFilterLength(bytes.length)) throw new RangeError(`no filter has ${bytes.length} bytes`)
    this.bytes = bytes
  }

  /** An empty filter for so many paths, and a fifth more. */
  static sizedFor(paths: number): BloomFilter {
    const bytes = Math.ceil((paths * BITS_PER_PATH) / 8)
    return new BloomFilter(new Uint8Array(Math.max(bytes, FILTER_BYTES_MIN)))
  }

  /** How many paths it takes until more than one of a hundred others seem to be in it. */
  get capacity(): number {
    return capacityOf(this.bytes.length)
  }

  /** The share of its bits that are set. */
  get fill(): number {
    let bits = 0
    for (const byte of this.bytes) bits += BITS_OF[byte]!
    return bits / (8 * this.bytes.length)
  }

  add(hash: KeyedHash): void {
    this.#everyBit(hash, (at, bit) => {
      this.bytes[at]! |= bit
      return true
    })
  }

  has(hash: KeyedHash): boolean {
    return this.#everyBit(hash, (at, bit) => (this.bytes[at]! & bit) !== 0)
  }

  #everyBit({ low, high }: KeyedHash, visit: (at: number, bit: number) => boolean): boolean {
    const size = 8 * this.bytes.length
    let place = low
    let step = high
    for (let i = 0; i < PROBES; i++) {
      const bit = place % size
      if (!visit(bit >>> 3, 1 << (bit & 7))) return false
      place = (place + step) >>> 0
      step = (step + i) >>> 0
    }
    return true
  }
}

/** Whether a filter may have so many bytes. */
export function isFilterLength(bytes: number): boolean {
  return bytes >= FILTER_BYTES_MIN && bytes <= FILTER_BYTES_MAX
}

/** How many paths a filter of so many bytes takes before it is full. */
export function capacityOf(bytes: number): number {
  return Math.floor((8 * bytes) / BITS_PER_PATH_FULL)
}

/** How many bits of each byte are set. */
const BITS_OF = Uint8Array.from({ length: 256 }, (_, byte) =>
  [...byte.toString(2)].reduce((sum, digit) => sum + Number(digit), 0),
)
