import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  compareBytes,
  concatBytes,
  equalBytes,
  printableBytes,
  utf8Bytes,
  utf8Text,
} from '../../src/foundation/bytes.ts'

const of = Uint8Array.of.bind(Uint8Array)

test('bytes are ordered as unsigned, a prefix before what it begins', () => {
  const sorted = [of(), of(0), of(0, 0), of(1), of(0x7f), of(0x80), of(0xff), of(0xff, 0)]
  for (const [i, a] of sorted.entries()) {
    for (const [j, b] of sorted.entries()) {
      expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(i - j))
      expect(equalBytes(a, b)).toBe(i === j)
    }
  }
})

test('names beyond the BMP are ordered by bytes, not by UTF-16', () => {
  const [private_, clef] = [utf8Bytes('\uffee'), utf8Bytes('𝄞')]
  expect('\uffee' < '𝄞').toBe(false)
  expect(compareBytes(private_, clef)).toBeLessThan(0)
})

test('parts are joined in turn, a single one is not copied', () => {
  expect([...concatBytes([of(1), of(), of(2, 3)])]).toEqual([1, 2, 3])
  expect(concatBytes([]).length).toBe(0)
  const one = of(1)
  expect(concatBytes([one])).toBe(one)
})

test('text comes back from its bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(!text.startsWith('\ufeff'))
      expect(utf8Text(utf8Bytes(text))).toBe(text)
    }),
  )
})

// Two names that differ in a byte order mark only must not become one.
test('a byte order mark is part of the text', () => {
  expect(utf8Text(of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa')
})

test.each([
  ['a lone continuation', of(0x80)],
  ['a cut off sequence', of(0xc3)],
  ['an overlong slash', of(0xc0, 0xaf)],
  ['a surrogate', of(0xed, 0xa0, 0x80)],
  ['Latin-1', of(0x66, 0xfc, 0x72)],
])('%s is no UTF-8', (_, bytes) => {
  expect(utf8Text(bytes)).toBeUndefined()
})

test('bytes for a person to read', () => {
  expect(printableBytes(utf8Bytes('grün'))).toBe('grün')
  expect(printableBytes(of(0x66, 0xfc, 0x72))).toBe('f\\xfcr')
  expect(printableBytes(utf8Bytes('a\nb\u001b[31m\u007f'))).toBe('a\\x0ab\\x1b[31m\\x7f')
})
