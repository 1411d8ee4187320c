import { malformed, shown } from './nix-error.ts'

/** Nix's digits: no e, o, t, u, so that no hash spells a rude word. */
const ALPHABET = '0123456789abcdfghijklmnpqrsvwxyz'

const NO_DIGIT = 0xff
const VALUES = new Uint8Array(128).fill(NO_DIGIT)
for (let value = 0; value < ALPHABET.length; value++) VALUES[ALPHABET.charCodeAt(value)] = value

/** How many characters spell `byteLength` bytes in nix32. */
export function nixBase32Length(byteLength: number): number {
  return Math.ceil((byteLength * 8) / 5)
}

/**
 * Spells bytes in nix32, as Nix's `printHash32` does: five bits a digit, the bytes taken as one
 * little-endian number with its most significant digit first.
 */
export function encodeNixBase32(bytes: Uint8Array): string {
  let text = ''
  for (let n = nixBase32Length(bytes.length) - 1; n >= 0; n--) {
    const at = (n * 5) >>> 3
    const shift = (n * 5) & 7
    const window = bytes[at]! | ((bytes[at + 1] ?? 0) << 8)
    text += ALPHABET[(window >>> shift) & 31]
  }
  return text
}

/**
 * Reads the nix32 spelling of exactly `byteLength` bytes. Every value has one spelling: bits beyond
 * the last byte must be zero.
 * @throws NixError 'bad-base32'
 */
export function decodeNixBase32(text: string, byteLength: number): Uint8Array {
  const length = nixBase32Length(byteLength)
  if (text.length !== length) {
    throw malformed(
      'bad-base32',
      `${byteLength} bytes are ${length} characters of nix32, not ${text.length}: ${shown(text)}`,
    )
  }
  const bytes = new Uint8Array(byteLength)
  for (let n = 0; n < length; n++) {
    const letter = text.charCodeAt(length - 1 - n)
    const value = letter < 128 ? VALUES[letter]! : NO_DIGIT
    if (value === NO_DIGIT) {
      throw malformed('bad-base32', `nix32 is written with ${ALPHABET} only: ${shown(text)}`)
    }
    const at = (n * 5) >>> 3
    const window = value << ((n * 5) & 7)
    bytes[at]! |= window & 0xff
    const carry = window >>> 8
    if (carry === 0) continue
    if (at + 1 === byteLength) {
      throw malformed('bad-base32', `the first digit of nix32 overflows: ${shown(text)}`)
    }
    bytes[at + 1]! |= carry
  }
  return bytes
}
