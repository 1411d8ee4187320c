import { expect, test } from 'vitest'
import { segmentsToCompact } from '../../src/retention/compaction.ts'

const segment = (number: number, livePart: number) => ({
  segment: number,
  bytes: 100,
  liveBytes: 100 * livePart,
})

test('segments more than half dead are compacted, the emptiest first', () => {
  const segments = [segment(0, 0.6), segment(1, 0.4), segment(2, 0), segment(3, 0.5)]
  expect(segmentsToCompact(segments, 400, Infinity)).toEqual([2, 1])
})

test('a store that is too large gives back more, as long as it is', () => {
  const segments = [segment(0, 0.6), segment(1, 0.95), segment(2, 0.2), segment(3, 0.8)]
  expect(segmentsToCompact(segments, 400, 320)).toEqual([2])
  expect(segmentsToCompact(segments, 400, 300)).toEqual([2, 0])
  expect(segmentsToCompact(segments, 400, 10)).toEqual([2, 0, 3])
})
