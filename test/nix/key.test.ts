import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PublicKey, SecretKey } from '../../src/nix/key.ts'
import { parseSignature, renderSignature } from '../../src/nix/signature.ts'
import { expectNixError } from './expect-nix-error.ts'

// RFC 8032, section 7.1, test 2.
const SEED = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'
const PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
const SIGNED_72 =
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
  '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
const SECRET_TEXT = `rfc-1:${base64(SEED + PUBLIC)}`
const message = new TextEncoder().encode('hello')

test('the known answer of RFC 8032', () => {
  const key = SecretKey.parse(SECRET_TEXT)
  expect(key.publicKey().toString()).toBe(`rfc-1:${base64(PUBLIC)}`)
  const signature = key.sign(Uint8Array.of(0x72))
  expect(Buffer.from(signature.data).toString('hex')).toBe(SIGNED_72)
  expect(signature.name).toBe('rfc-1')
  expect(PublicKey.parse(`rfc-1:${base64(PUBLIC)}`).verify(Uint8Array.of(0x72), signature)).toBe(
    true,
  )
})

test('a generated key comes back from its texts and signs for itself alone', () => {
  const key = SecretKey.generate('home-1')
  const again = SecretKey.parse(`${key}\n`)
  expect(again.toString()).toBe(key.toString())
  const signature = parseSignature(renderSignature(again.sign(message)))
  const publicKey = PublicKey.parse(key.publicKey().toString())
  expect(publicKey.verify(message, signature)).toBe(true)
  expect(SecretKey.generate('home-1').toString()).not.toBe(key.toString())
  expect(SecretKey.generate('home-1').publicKey().verify(message, signature)).toBe(false)
})

test('a signature under another name is not the key’s', () => {
  const key = SecretKey.generate('a-1')
  const signature = { ...key.sign(message), name: 'b-1' }
  expect(key.publicKey().verify(message, signature)).toBe(false)
})

test('one bit flipped anywhere spoils a signature', () => {
  const key = SecretKey.parse(SECRET_TEXT)
  const { data } = key.sign(message)
  fc.assert(
    fc.property(fc.nat(511), (bit) => {
      const flipped = Uint8Array.from(data)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(key.publicKey().verify(message, { name: 'rfc-1', data: flipped })).toBe(false)
    }),
  )
  expect(key.publicKey().verify(message, { name: 'rfc-1', data: data.subarray(1) })).toBe(false)
  expect(key.publicKey().verify(message.subarray(1), { name: 'rfc-1', data })).toBe(false)
})

test('the secret shows in its own text only', () => {
  const key = SecretKey.parse(SECRET_TEXT)
  const secret = base64(SEED).slice(0, 20)
  expect(JSON.stringify({ key })).not.toContain(secret)
  expect(inspect(key, { depth: 5, showHidden: true })).not.toContain(secret)
  const broken = SECRET_TEXT.slice(0, -8)
  expect(expectNixError('bad-key', () => SecretKey.parse(broken)).message).not.toContain(secret)
  const bare = SECRET_TEXT.slice('rfc-1:'.length)
  expect(expectNixError('bad-key', () => SecretKey.parse(bare)).message).not.toContain(secret)
})

test('a public half that is not the seed’s is refused', () => {
  const other = base64(SEED + PUBLIC.replace('3d', '3c'))
  expectNixError('bad-key', () => SecretKey.parse(`rfc-1:${other}`))
})

test.each([
  ['no name', `:${base64(PUBLIC)}`],
  ['no colon', base64(PUBLIC)],
  ['a name with a space', `a b:${base64(PUBLIC)}`],
  ['nothing', ''],
  ['too short', `a:${base64(PUBLIC.slice(2))}`],
  ['too long', `a:${base64(`${PUBLIC}00`)}`],
  ['no padding', `a:${base64(PUBLIC).replace('=', '')}`],
  ['something after it', `a:${base64(PUBLIC)}x`],
  ['a second colon', `a:b:${base64(PUBLIC)}`],
  ['a secret key', SECRET_TEXT],
])('refused as a public key: %s', (_, text) => {
  expectNixError('bad-key', () => PublicKey.parse(text))
})

test('refused as names of new keys', () => {
  for (const name of ['', 'a:b', 'a b', 'a\n']) {
    expectNixError('bad-key', () => SecretKey.generate(name))
  }
  expectNixError('bad-key', () => PublicKey.of('a', new Uint8Array(31)))
})

test.each([
  ['no name', `:${base64(SIGNED_72)}`],
  ['no colon', base64(SIGNED_72)],
  ['nothing', ''],
  ['no signature', 'a:'],
  ['too short', `a:${base64(SIGNED_72.slice(2))}`],
  ['too long', `a:${base64(`${SIGNED_72}00`)}`],
  ['a line break', `a:${base64(SIGNED_72)}\n`],
  ['not base64', `a:${base64(SIGNED_72).replace('A', '*')}`],
])('refused as a signature: %s', (_, text) => {
  expectNixError('bad-signature', () => parseSignature(text))
})
