import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Random, seededRandom, shuffled } from '../../src/foundation/random.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'

const draw = (random: Random, count: number, below: number): number[] =>
  Array.from({ length: count }, () => random.integer(below))

test('a seed gives the numbers of mulberry32, always', () => {
  expect(seededRandom(1).integer(2 ** 32)).toBe(Math.floor(0.6270739405881613 * 2 ** 32))
  expect(draw(seededRandom(7), 20, 1000)).toEqual(draw(seededRandom(7), 20, 1000))
  expect(draw(seededRandom(7), 20, 1000)).not.toEqual(draw(seededRandom(8), 20, 1000))
})

test('numbers are whole, in range and spread evenly', () => {
  for (const random of [seededRandom(3), systemRandom]) {
    const counts = Array<number>(10).fill(0)
    for (const n of draw(random, 10_000, 10)) counts[n]!++
    expect(counts.length).toBe(10)
    for (const count of counts) {
      expect(count).toBeGreaterThan(800)
      expect(count).toBeLessThan(1200)
    }
    expect(draw(random, 5, 1)).toEqual([0, 0, 0, 0, 0])
  }
})

test('a shuffled copy holds the same and leaves the original', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer(), (items, seed) => {
      const before = [...items]
      const result = shuffled(items, seededRandom(seed))
      expect(items).toEqual(before)
      expect(result.sort((a, b) => a - b)).toEqual(before.sort((a, b) => a - b))
    }),
  )
})

test('every order is equally likely', () => {
  const random = seededRandom(11)
  const counts = new Map<string, number>()
  for (let i = 0; i < 6000; i++) {
    const order = shuffled(['a', 'b', 'c'], random).join('')
    counts.set(order, (counts.get(order) ?? 0) + 1)
  }
  expect(counts.size).toBe(6)
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
})
