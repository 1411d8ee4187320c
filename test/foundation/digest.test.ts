import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { blake3 as oracle } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Blake3Hasher, blake3 } from '../../src/foundation/blake3.ts'
import { Digest, DigestBuilder } from '../../src/foundation/digest.ts'

const VECTORS = fileURLToPath(new URL('../../../shared/vectors/blake3.json', import.meta.url))
const missing = existsSync(VECTORS) ? undefined : `${VECTORS} is not there`

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test.each([
  ['nothing', bytes(''), 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [
    'Hello World!',
    bytes('Hello World!'),
    '5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c',
  ],
  [
    'one byte 01',
    Uint8Array.of(1),
    '48fc721fbbc172e0925fa27af1671de225ba927134802998b10a1568a188652b',
  ],
  [
    'bytes 00 01',
    Uint8Array.of(0, 1),
    '7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63',
  ],
  [
    '0..254, 4096 times',
    Uint8Array.from({ length: 255 * 4096 }, (_, i) => i % 255),
    'a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2',
  ],
])('the known digest of %s', (_, content, hex) => {
  const digest = Digest.ofContent(content)
  expect(digest.hex).toBe(hex)
  expect(digest.equals(Digest.fromHex(hex.toUpperCase()))).toBe(true)
  expect(`${digest}`).toBe(`b3:${hex}`)
  expect(JSON.stringify([digest])).toBe(`["${hex}"]`)
})

test.skipIf(missing)(`the test vectors of BLAKE3 ${missing ?? ''}`, () => {
  const { cases } = JSON.parse(readFileSync(VECTORS, 'utf8'))
  expect(cases.length).toBe(35)
  for (const { input_len, hash } of cases) {
    const content = Uint8Array.from({ length: input_len }, (_, i) => i % 251)
    expect(Digest.ofContent(content).hex).toBe(hash.slice(0, 64))
  }
})

test('content in any pieces has the digest of the whole', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }), (pieces) => {
      const builder = new DigestBuilder()
      for (const piece of pieces) builder.update(piece)
      const whole = Buffer.concat(pieces)
      const digest = builder.finish()
      expect(digest.equals(Digest.ofContent(whole))).toBe(true)
      expect(digest.hex).toBe(Buffer.from(oracle(whole)).toString('hex'))
    }),
  )
})

test('a digest is no view of memory that the next hash overwrites, or that is shared', () => {
  const first = blake3(bytes('one'))
  const copy = Uint8Array.from(first)
  const hasher = new Blake3Hasher()
  hasher.update(bytes('two'))
  const second = hasher.digest()
  blake3(bytes('three'))
  expect([...first]).toEqual([...copy])
  for (const it of [first, second]) expect(it.buffer.byteLength).toBe(32)
})

test('equal digests have equal hex, others do not', () => {
  const [a, b] = [Digest.ofContent(bytes('a')), Digest.ofContent(bytes('b'))]
  expect(a.equals(b)).toBe(false)
  expect(a.hex).not.toBe(b.hex)
  expect(Digest.of(Uint8Array.from(a.bytes)).hex).toBe(a.hex)
  const within = new Uint8Array(40)
  within.set(a.bytes, 5)
  expect(Digest.of(within.subarray(5, 37)).hex).toBe(a.hex)
})

test('what is no digest is refused', () => {
  for (const length of [0, 31, 33, 64]) {
    expect(() => Digest.of(new Uint8Array(length))).toThrow(RangeError)
  }
  const hex = 'a'.repeat(64)
  for (const text of ['', hex.slice(1), `${hex}a`, `${hex.slice(1)}g`, `${hex}\n`, `b3:${hex}`]) {
    expect(() => Digest.fromHex(text)).toThrow(RangeError)
  }
})
