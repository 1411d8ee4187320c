import { expect, test } from 'vitest'
import { renderNixHash } from '../../src/nix/nix-hash.ts'
import { fromWireCa, toWireCa } from '../../src/pathinfo/content-address-codec.ts'
import { noise } from '../fixtures/content.ts'

const BYTES = { md5: 16, sha1: 20, sha256: 32, sha512: 64 } as const

test.each([
  ['fixed:r', 'sha256', 0],
  ['fixed:r', 'sha1', 1],
  ['fixed:r', 'sha512', 2],
  ['fixed:r', 'md5', 3],
  ['text', 'sha256', 4],
  ['fixed', 'sha1', 5],
  ['fixed', 'md5', 6],
  ['fixed', 'sha256', 7],
  ['fixed', 'sha512', 8],
] as const)('%s:%s is number %d of the messages, and comes back', (method, algorithm, type) => {
  const bytes = noise(BYTES[algorithm], 'ca')
  const ca = `${method}:${renderNixHash({ algorithm, bytes })}`
  const message = toWireCa(ca)
  expect(message.type).toBe(type)
  expect(Buffer.from(message.digest).equals(bytes)).toBe(true)
  expect(fromWireCa(message)).toBe(ca)
})

test.each([
  '',
  'fixed',
  'text:sha1:00000000000000000000000000000000',
  'recursive:sha256:0000000000000000000000000000000000000000000000000000',
  'fixed:r:sha256:short',
  'fixed:x:sha256:0000000000000000000000000000000000000000000000000000',
])('%j is none', (ca) => {
  expect(() => toWireCa(ca)).toThrow()
})
