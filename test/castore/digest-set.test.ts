import { expect, test } from 'vitest'
import { DigestSet } from '../../src/castore/digest-set.ts'
import { noise } from '../fixtures/content.ts'

test('a set knows what was added, however many, and nothing else', () => {
  const set = new DigestSet()
  const all = noise(32 * 20_000, 'digests')
  const digest = (i: number): Buffer => all.subarray(32 * i, 32 * i + 32)
  for (let i = 0; i < 10_000; i++) expect(set.add(digest(i))).toBe(true)
  for (let i = 0; i < 10_000; i++) expect(set.add(digest(i))).toBe(false)
  expect(set.size).toBe(10_000)
  for (let i = 0; i < 10_000; i++) expect(set.has(digest(i))).toBe(true)
  for (let i = 10_000; i < 20_000; i++) expect(set.has(digest(i))).toBe(false)
})

test('a digest of zeros is one like others', () => {
  const set = new DigestSet()
  expect(set.has(new Uint8Array(32))).toBe(false)
  expect(set.add(new Uint8Array(32))).toBe(true)
  expect(set.has(new Uint8Array(32))).toBe(true)
  expect(set.add(new Uint8Array(32))).toBe(false)
})
