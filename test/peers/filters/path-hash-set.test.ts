import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PathHashSet } from '../../../src/peers/filters/path-hash-set.ts'
import { noise } from '../../fixtures/content.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const hashOf = (n: number): Uint8Array => Uint8Array.from(noise(20, n))

function entriesOf(set: PathHashSet): string[] {
  const { entries, size } = set
  expect(entries.length).toBe(20 * size)
  return Array.from({ length: size }, (_, i) => hex(entries.subarray(20 * i, 20 * i + 20))).sort()
}

test('it holds what was added and not taken out', () => {
  // Hashes that begin alike fall on each other.
  const hash = fc.oneof(
    fc.nat(30).map(hashOf),
    fc.nat(30).map((n) => Uint8Array.from({ length: 20 }, (_, i) => (i === 19 ? n : 0xff))),
  )
  const steps = fc.array(fc.record({ hash, adds: fc.boolean() }), { maxLength: 300 })
  fc.assert(
    fc.property(steps, (all) => {
      const set = new PathHashSet()
      const model = new Set<string>()
      for (const { hash: it, adds } of all) {
        const isIn = model.has(hex(it))
        expect(set.has(it)).toBe(isIn)
        expect(adds ? set.add(it) : set.delete(it)).toBe(adds !== isIn)
        if (adds) model.add(hex(it))
        else model.delete(hex(it))
        expect(set.size).toBe(model.size)
      }
      expect(entriesOf(set)).toEqual([...model].sort())
    }),
  )
})

test('it grows', () => {
  const set = new PathHashSet()
  for (let i = 0; i < 5000; i++) expect(set.add(hashOf(i))).toBe(true)
  for (let i = 0; i < 5000; i++) expect(set.add(hashOf(i))).toBe(false)
  for (let i = 0; i < 5000; i += 2) expect(set.delete(hashOf(i))).toBe(true)
  for (let i = 0; i < 5000; i++) expect(set.has(hashOf(i))).toBe(i % 2 === 1)
  expect(set.size).toBe(2500)
})

test('who goes from the last to the first misses none that stays, whatever comes and goes', () => {
  const set = new PathHashSet()
  for (let i = 0; i < 1000; i++) set.add(hashOf(i))
  const seen = new Set<string>()
  for (let at = set.size; at > 0; ) {
    at = Math.min(at, set.size) - 1
    seen.add(hex(set.entries.subarray(20 * at, 20 * at + 20)))
    if (at % 3 === 0) set.delete(hashOf(at)) // of those that stay some change their places
    if (at % 5 === 0) set.add(hashOf(2000 + at))
  }
  for (let i = 0; i < 1000; i++) {
    if (set.has(hashOf(i))) expect(seen.has(hex(hashOf(i)))).toBe(true)
  }
})
