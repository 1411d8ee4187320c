import { describe, expect, test } from 'vitest'
import {
  BloomFilter,
  FILTER_BYTES_MAX,
  FILTER_BYTES_MIN,
} from '../../../src/peers/filters/bloom-filter.ts'
import { addedMax, FilterCopy, FilterError } from '../../../src/peers/filters/filter-copy.ts'
import {
  ADDED_AT_ONCE,
  type FilterNews,
  HASH_BYTES,
  PART_BYTES,
} from '../../../src/peers/filters/filter-news.ts'
import { PathHasher } from '../../../src/peers/filters/sip-hash.ts'
import { noise } from '../../fixtures/content.ts'

const hasher = new PathHasher(noise(16, 'key'))

const copied = (roomBytes = 10 * FILTER_BYTES_MAX): FilterCopy =>
  new FilterCopy({ hasher, room: (bytes) => bytes <= roomBytes })

/** What is told of a filter, the way that it is told. */
function* told(bytes: Uint8Array): Generator<FilterNews> {
  yield { snapshotBytes: bytes.length }
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    yield { bits: bytes.subarray(at, at + PART_BYTES) }
  }
}

function takeAll(copy: FilterCopy, ...news: Iterable<FilterNews>[]): FilterCopy {
  for (const some of news) for (const it of some) copy.take(it)
  return copy
}

function filterOf(names: readonly string[], room = 1000): Uint8Array {
  const filter = BloomFilter.sizedFor(room)
  for (const name of names) filter.add(hasher.hash(noise(20, name)))
  return filter.bytes
}

function addedOf(...names: string[]): Uint8Array {
  const bytes = Buffer.alloc(names.length * HASH_BYTES)
  for (const [i, name] of names.entries()) {
    const { low, high } = hasher.hash(noise(20, name))
    bytes.writeUInt32LE(low, i * HASH_BYTES)
    bytes.writeUInt32LE(high, i * HASH_BYTES + 4)
  }
  return bytes
}

const EMPTY = new Uint8Array(FILTER_BYTES_MIN)

test('until it is whole, everything may be there', () => {
  const copy = copied()
  const all = [...told(filterOf(['a'], 60_000))]
  for (const news of all.slice(0, -1)) {
    expect(copy.take(news)).toBe(false)
    expect(copy.isWhole).toBe(false)
    expect(copy.mayHave(noise(20, 'b'))).toBe(true)
  }
  expect(copy.take(all.at(-1)!)).toBe(true)
  expect(copy.mayHave(noise(20, 'a'))).toBe(true)
  expect(copy.mayHave(noise(20, 'b'))).toBe(false)
})

test('what comes is there at once, and a new snapshot counts when it is complete', () => {
  const copy = takeAll(copied(), told(filterOf(['a'])))
  expect(copy.take({ added: addedOf('b', 'c') })).toBe(true)
  expect(copy.take({})).toBe(false) // still there
  for (const name of ['a', 'b', 'c']) expect(copy.mayHave(noise(20, name))).toBe(true)
  const [begin, ...parts] = told(filterOf(['c']))
  copy.take(begin!)
  expect(copy.bytes).toBe(2 * FILTER_BYTES_MIN)
  copy.take({ added: addedOf('d') })
  for (const name of ['a', 'b', 'c', 'd']) expect(copy.mayHave(noise(20, name))).toBe(true)
  takeAll(copy, parts)
  expect(['a', 'b', 'c'].map((name) => copy.mayHave(noise(20, name)))).toEqual([false, false, true])
  expect(copy.bytes).toBe(FILTER_BYTES_MIN)
})

describe('what is no filter is refused before anything is allocated', () => {
  const nonsense: [string, FilterNews[]][] = [
    ['a part of nothing', [{ bits: noise(5) }]],
    ['news of nothing', [{ added: noise(8) }]],
    ['a snapshot within another', [{ snapshotBytes: 20_000 }, { snapshotBytes: 20_000 }]],
    ['more than it said', [{ snapshotBytes: FILTER_BYTES_MIN, bits: noise(FILTER_BYTES_MIN + 1) }]],
    ['a part that is too long', [{ snapshotBytes: 1_000_000, bits: noise(PART_BYTES + 1) }]],
    ['half a hash', [...told(EMPTY), { added: noise(12) }]],
    ['too many at once', [...told(EMPTY), { added: noise(HASH_BYTES * (ADDED_AT_ONCE + 1)) }]],
  ]
  test.each(nonsense)('%s', (_, news) => {
    expect(() => takeAll(copied(), news)).toThrow(FilterError)
    expect(() => takeAll(copied(), news)).toThrow(
      expect.objectContaining({ flaw: expect.objectContaining({ code: 'nonsense' }) }),
    )
  })

  const much: [string, FilterNews[]][] = [
    ['a filter that is too long', [{ snapshotBytes: FILTER_BYTES_MAX + 1 }]],
    ['one that is as long as numbers go', [{ snapshotBytes: 2 ** 32 - 1 }]],
    ['one that is too short', [{ snapshotBytes: 0 }]],
    ['one that there is no room for', [{ snapshotBytes: 2_000_000 }]],
    ['one that says yes to everything', [...told(new Uint8Array(20_000).fill(0xff))]],
  ]
  test.each(much)('%s', (_, news) => {
    const roomBytes = 1_000_000
    const copy = copied(roomBytes)
    expect(() => takeAll(copy, news)).toThrow(
      expect.objectContaining({ flaw: expect.objectContaining({ code: 'too-much' }) }),
    )
    expect(copy.bytes).toBeLessThanOrEqual(20_000)
  })
})

test('of one filter there is only so much news', () => {
  const copy = takeAll(copied(), told(EMPTY))
  const added = noise(8 * 1000)
  for (let i = 1000; i <= addedMax(FILTER_BYTES_MIN); i += 1000) copy.take({ added })
  expect(() => copy.take({ added })).toThrow('more news than fits in')
})
