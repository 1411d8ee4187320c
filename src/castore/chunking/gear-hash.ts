import { createHash } from 'node:crypto'

/** A 48-bit word in two halves of 24 bits: JavaScript's fast integers have 32. */
export interface Mask {
  readonly hi: number
  readonly lo: number
}

// The masks have no bit above the 48th, and carries only travel upwards, so that the upper 16 bits
// of the 64-bit gear hash never decide anything and are left out.
const HALF_BITS = 24
const HALF_MASK = 0xffffff

const { gearHi, gearLo } = gearTables()

/**
 * The gear hash of FastCDC (Xia et al., 2020), rolled over content that arrives in pieces:
 * `hash = (hash << 1) + gear[byte]`, where `gear[i]` is the first 8 bytes, big-endian, of the MD5
 * of 64 bytes of value `i`. Only its lower 48 bits are kept.
 */
export class GearHash {
  #hi = 0
  #lo = 0

  reset(): void {
    this.#hi = 0
    this.#lo = 0
  }

  /**
   * Rolls over `bytes[from]` to `bytes[to - 1]`, and stops after the first byte that leaves none of
   * the mask's bits set; says that byte's index, or -1 where there is none.
   */
  roll(bytes: Uint8Array, from: number, to: number, mask: Mask): number {
    const { hi: maskHi, lo: maskLo } = mask
    let hi = this.#hi
    let lo = this.#lo
    let i = from
    // One carry in four bytes: the low half grows to 29 bits at most in between, and what the next
    // byte has to wait for is short. The `| 0` keep it all in 32-bit registers.
    for (const last = to - 3; i < last; i = (i + 4) | 0) {
      let byte = bytes[i]!
      lo = ((lo << 1) + gearLo[byte]!) | 0
      hi = ((hi << 1) + gearHi[byte]!) | 0
      if (((hi + (lo >>> HALF_BITS)) & maskHi) === 0 && (lo & maskLo) === 0) return i
      byte = bytes[i + 1]!
      lo = ((lo << 1) + gearLo[byte]!) | 0
      hi = ((hi << 1) + gearHi[byte]!) | 0
      if (((hi + (lo >>> HALF_BITS)) & maskHi) === 0 && (lo & maskLo) === 0) return i + 1
      byte = bytes[i + 2]!
      lo = ((lo << 1) + gearLo[byte]!) | 0
      hi = ((hi << 1) + gearHi[byte]!) | 0
      if (((hi + (lo >>> HALF_BITS)) & maskHi) === 0 && (lo & maskLo) === 0) return i + 2
      byte = bytes[i + 3]!
      lo = ((lo << 1) + gearLo[byte]!) | 0
      hi = ((hi << 1) + gearHi[byte]!) | 0
      hi = (hi + (lo >>> HALF_BITS)) | 0
      lo &= HALF_MASK
      if ((hi & maskHi) === 0 && (lo & maskLo) === 0) return i + 3
    }
    for (; i < to; i++) {
      const byte = bytes[i]!
      lo = ((lo << 1) + gearLo[byte]!) | 0
      hi = ((hi << 1) + gearHi[byte]! + (lo >>> HALF_BITS)) | 0
      lo &= HALF_MASK
      if ((hi & maskHi) === 0 && (lo & maskLo) === 0) return i
    }
    this.#hi = hi
    this.#lo = lo
    return -1
  }
}

function gearTables(): { gearHi: Int32Array; gearLo: Int32Array } {
  const gearHi = new Int32Array(256)
  const gearLo = new Int32Array(256)
  for (let value = 0; value < 256; value++) {
    const digest = createHash('md5').update(new Uint8Array(64).fill(value)).digest()
    gearHi[value] = digest.readUIntBE(2, 3)
    gearLo[value] = digest.readUIntBE(5, 3)
  }
  return { gearHi, gearLo }
}
