import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PathHasher } from '../../../src/peers/filters/sip-hash.ts'

const MASK = (1n << 64n) - 1n

/** SipHash-2-4 as its authors write it down. */
function sipHash(key: Uint8Array, message: Uint8Array): bigint {
  const word = (bytes: Uint8Array, at: number): bigint => Buffer.from(bytes).readBigUInt64LE(at)
  const turned = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & MASK
  const [k0, k1] = [word(key, 0), word(key, 8)]
  let v0 = k0 ^ 0x736f6d6570736575n
  let v1 = k1 ^ 0x646f72616e646f6dn
  let v2 = k0 ^ 0x6c7967656e657261n
  let v3 = k1 ^ 0x7465646279746573n
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & MASK
      v1 = turned(v1, 13n) ^ v0
      v0 = turned(v0, 32n)
      v2 = (v2 + v3) & MASK
      v3 = turned(v3, 16n) ^ v2
      v0 = (v0 + v3) & MASK
      v3 = turned(v3, 21n) ^ v0
      v2 = (v2 + v1) & MASK
      v1 = turned(v1, 17n) ^ v2
      v2 = turned(v2, 32n)
    }
  }
  const padded = Buffer.alloc(Math.floor(message.length / 8) * 8 + 8)
  padded.set(message)
  padded[padded.length - 1] = message.length
  for (let at = 0; at < padded.length; at += 8) {
    v3 ^= word(padded, at)
    rounds(2)
    v0 ^= word(padded, at)
  }
  v2 ^= 0xffn
  rounds(4)
  return v0 ^ v1 ^ v2 ^ v3
}

const counted = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)

function hashOf(key: Uint8Array, message: Uint8Array): bigint {
  const { low, high } = new PathHasher(key).hash(message)
  return (BigInt(high) << 32n) | BigInt(low)
}

test("the authors' vectors come out", () => {
  // The paper's appendix A, and the 21st of vectors_sip64 of the reference implementation.
  expect(sipHash(counted(16), counted(15))).toBe(0xa129ca6149be45e5n)
  expect(sipHash(counted(16), counted(20))).toBe(0xbed65cf21aa2ee98n)
  expect(hashOf(counted(16), counted(20))).toBe(0xbed65cf21aa2ee98n)
})

test('any path under any key is hashed as the authors write it down', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  fc.assert(
    fc.property(bytes(16), bytes(20), (key, part) => {
      expect(hashOf(key, part)).toBe(sipHash(key, part))
    }),
    { numRuns: 1000 },
  )
})

test('it is hashed where it lies', () => {
  const hasher = new PathHasher(counted(16))
  const bytes = counted(60)
  expect(hasher.hash(bytes, 17)).toEqual(hasher.hash(bytes.slice(17, 37)))
  expect(() => new PathHasher(counted(15))).toThrow(RangeError)
})
