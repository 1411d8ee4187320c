import { expect, test } from 'vitest'
import { parseNixHash, renderNixHash } from '../../src/nix/nix-hash.ts'
import { expectNixError } from './expect-nix-error.ts'

const HEX = 'ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a'
const BASE64 = Buffer.from(HEX, 'hex').toString('base64')
const NIX32 = '06li2smqgskxxr291x1cgzf61rzm7c8f93bisnglq0nzm1wj5mgb'

test.each([`sha256:${HEX}`, `sha256:${NIX32}`, `sha256:${BASE64}`, `sha256-${BASE64}`])(
  '%s is read and written in nix32',
  (text) => {
    const hash = parseNixHash(text)
    expect(hash.algorithm).toBe('sha256')
    expect(Buffer.from(hash.bytes).toString('hex')).toBe(HEX)
    expect(renderNixHash(hash)).toBe(`sha256:${NIX32}`)
  },
)

test.each([
  ['md5', 16],
  ['sha1', 20],
  ['sha512', 64],
])('%s hashes have %d bytes', (algorithm, byteLength) => {
  const hash = parseNixHash(`${algorithm}:${'0f'.repeat(byteLength)}`)
  expect(hash.bytes).toEqual(new Uint8Array(byteLength).fill(0x0f))
  expect(parseNixHash(renderNixHash(hash))).toEqual(hash)
})

test.each([
  ['no algorithm', NIX32],
  ['an unknown algorithm', `sha257:${HEX}`],
  ['nothing after the colon', 'sha256:'],
  ['a hash of another algorithm', `sha1:${HEX}`],
  ['one digit too few', `sha256:${HEX.slice(1)}`],
  ['no digits of hex', `sha256:${HEX.replace('e', 'g')}`],
  ['bits of padding in nix32', `sha256:z${NIX32.slice(1)}`],
  ['SRI in hex', `sha256-${HEX}`],
  ['base64 without padding', `sha256-${BASE64.replace('=', '')}`],
  ['base64url', `sha256-${'_'.repeat(42)}8=`],
  ['something after the hash', `sha256:${NIX32}\n`],
  ['SRI options', `sha256-${BASE64}?x`],
])('refused: %s', (_, text) => {
  expectNixError('bad-hash', () => parseNixHash(text))
})
