import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  BITS_PER_PATH,
  BloomFilter,
  FILTER_BYTES_MAX,
  FILTER_BYTES_MIN,
} from '../../../src/peers/filters/bloom-filter.ts'
import { PathHasher } from '../../../src/peers/filters/sip-hash.ts'
import { noise } from '../../fixtures/content.ts'

const KEY = noise(16, 'key')

/** So many hash parts of store paths in a row. */
const hashParts = (count: number, seed: string): Uint8Array => noise(20 * count, seed)

function filled(paths: number, room: number, seed: string): BloomFilter {
  const filter = BloomFilter.sizedFor(room)
  const hasher = new PathHasher(KEY)
  const parts = hashParts(paths, seed)
  for (let i = 0; i < paths; i++) filter.add(hasher.hash(parts, 20 * i))
  return filter
}

function shareOf(filter: BloomFilter, tries: number, seed: string): number {
  const hasher = new PathHasher(KEY)
  const parts = hashParts(tries, seed)
  let found = 0
  for (let i = 0; i < tries; i++) if (filter.has(hasher.hash(parts, 20 * i))) found++
  return found / tries
}

test('what was added is in it, whatever it is', () => {
  const part = fc.uint8Array({ minLength: 20, maxLength: 20 })
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 200 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (parts, key) => {
        const hasher = new PathHasher(key)
        const filter = BloomFilter.sizedFor(parts.length)
        for (const it of parts) filter.add(hasher.hash(it))
        const read = new BloomFilter(Uint8Array.from(filter.bytes))
        for (const it of parts) expect(read.has(hasher.hash(it))).toBe(true)
      },
    ),
  )
})

test.each([20_000, 100_000])('of %i paths one in a hundred others seems to be in it', (paths) => {
  const filter = filled(paths, paths, 'held')
  expect((8 * filter.bytes.length) / paths).toBeLessThanOrEqual(BITS_PER_PATH + 0.001)
  expect(BITS_PER_PATH).toBeLessThanOrEqual(12)
  expect(shareOf(filter, paths, 'held')).toBe(1)
  expect(shareOf(filter, 200_000, 'not held')).toBeLessThan(0.005)
})

test('so it is when it has grown full, a fifth beyond what it was made for', () => {
  const filter = BloomFilter.sizedFor(100_000)
  expect(filter.capacity).toBe(120_000)
  const full = filled(filter.capacity, 100_000, 'held')
  expect(shareOf(full, 200_000, 'not held')).toBeLessThan(0.01)
  expect(full.fill).toBeGreaterThan(0.48)
  expect(full.fill).toBeLessThan(0.52)
})

test('an empty filter has nothing in it, and takes some paths before it is full', () => {
  const filter = BloomFilter.sizedFor(0)
  expect(filter.bytes.length).toBe(FILTER_BYTES_MIN)
  expect(filter.fill).toBe(0)
  expect(shareOf(filter, 1000, 'any')).toBe(0)
})

test.each([0, FILTER_BYTES_MIN - 1, FILTER_BYTES_MAX + 1])('%i bytes are no filter', (bytes) => {
  expect(() => new BloomFilter(new Uint8Array(bytes))).toThrow(RangeError)
})
