import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  AccessTokens,
  generateToken,
  TOKEN_LENGTH_MAX,
  TokenHash,
} from '../../src/foundation/access-token.ts'

const ANNA = generateToken()
const BEN = generateToken()
const tokens = new AccessTokens(
  {},
  { hashes: [TokenHash.of('anna', ANNA), TokenHash.of('ben', BEN)] },
)

test('a token says whose it is', () => {
  expect(tokens.holderOf(ANNA)).toBe('anna')
  expect(tokens.holderOf(BEN)).toBe('ben')
})

test.each([
  ['', 'nothing'],
  [`${ANNA}x`, 'one with more behind it'],
  [ANNA.slice(0, -1), 'one cut short'],
  [ANNA.toUpperCase(), 'one in other letters'],
  [TokenHash.of('anna', ANNA).toString(), 'what is kept of one'],
  ['x'.repeat(TOKEN_LENGTH_MAX + 1), 'one that is too long'],
])('%s is nobody’s token: %s', (token) => {
  expect(tokens.holderOf(token)).toBeUndefined()
})

test('without hashes there are no tokens', () => {
  expect(new AccessTokens({}, { hashes: [] }).holderOf(ANNA)).toBeUndefined()
})

test('a header carries a token as Bearer, or as the password that Nix sends from a netrc', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  expect(tokens.holderOfHeader(`Bearer ${ANNA}`)).toBe('anna')
  expect(tokens.holderOfHeader(`bearer ${ANNA}`)).toBe('anna')
  expect(tokens.holderOfHeader(basic(`whoever:${BEN}`))).toBe('ben')
  expect(tokens.holderOfHeader(basic(`:${BEN}`))).toBe('ben')
  expect(tokens.holderOfHeader(basic(BEN))).toBeUndefined()
  expect(tokens.holderOfHeader(ANNA)).toBeUndefined()
  expect(tokens.holderOfHeader(`Digest ${ANNA}`)).toBeUndefined()
  expect(tokens.holderOfHeader(undefined)).toBeUndefined()
})

test('what is kept is a name and a SHA-256, and reads back', () => {
  const kept = TokenHash.of('anna', ANNA).toString()
  expect(kept).toBe(`anna:sha256:${createHash('sha256').update(ANNA).digest('hex')}`)
  expect(kept).not.toContain(ANNA)
  expect(TokenHash.parse(kept)?.toString()).toBe(kept)
})

test.each([
  '',
  'anna',
  ANNA,
  'anna:sha256:',
  `anna:md5:${'0'.repeat(64)}`,
  `:sha256:${'0'.repeat(64)}`,
])('%j is no hash of a token', (text) => expect(TokenHash.parse(text)).toBeUndefined())

test('tokens are random and long', () => {
  expect(ANNA).not.toBe(BEN)
  expect(ANNA).toMatch(/^cairn_[\w-]{43}$/)
})
