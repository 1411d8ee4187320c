import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeNixBase32, encodeNixBase32, nixBase32Length } from '../../src/nix/nix-base32.ts'
import { expectNixError } from './expect-nix-error.ts'

const KNOWN_HEX = 'ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a'
const KNOWN = '06li2smqgskxxr291x1cgzf61rzm7c8f93bisnglq0nzm1wj5mgb'

test('a known sha256 is spelled and read as Nix does', () => {
  expect(encodeNixBase32(Buffer.from(KNOWN_HEX, 'hex'))).toBe(KNOWN)
  expect(Buffer.from(decodeNixBase32(KNOWN, 32)).toString('hex')).toBe(KNOWN_HEX)
})

test('bytes come back from their spelling, at every length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const text = encodeNixBase32(bytes)
      expect(text.length).toBe(nixBase32Length(bytes.length))
      expect(decodeNixBase32(text, bytes.length)).toEqual(bytes)
    }),
  )
})

test('a text is accepted only if it is the spelling of its bytes', () => {
  const letters = fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyzA-é')
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 12 }), fc.nat(8), (text, byteLength) => {
      try {
        const bytes = decodeNixBase32(text, byteLength)
        expect(encodeNixBase32(bytes)).toBe(text)
      } catch (error) {
        expect(error).toMatchObject({ fault: { code: 'bad-base32' } })
      }
    }),
  )
})

test.each([
  ['too short', KNOWN.slice(1)],
  ['too long', `0${KNOWN}`],
  ['empty', ''],
  ['upper case', KNOWN.toUpperCase()],
  ['e', KNOWN.replace('l', 'e')],
  ['o', KNOWN.replace('l', 'o')],
  ['t', KNOWN.replace('l', 't')],
  ['u', KNOWN.replace('l', 'u')],
  ['beyond ASCII', KNOWN.replace('l', 'é')],
  ['bits of padding set', `2${KNOWN.slice(1)}`],
  ['all bits set', 'z'.repeat(52)],
])('refused: %s', (_, text) => {
  expectNixError('bad-base32', () => decodeNixBase32(text, 32))
})
