import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/foundation/random.ts'
import { FetchOrder } from '../../src/substitution/fetch-order.ts'

function all<T>(order: FetchOrder<T>): T[] {
  const taken: T[] = []
  while (order.size > 0) taken.push(order.take()!)
  return taken
}

test('each thing is given out once, whatever the weights', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1e9).map((n) => n + 1)), fc.integer(), (weights, seed) => {
      const order = new FetchOrder<number>({ random: seededRandom(seed) })
      for (const [i, weight] of weights.entries()) order.add(i, weight)
      const taken = all(order)
      expect(taken.sort((a, b) => a - b)).toEqual([...weights.keys()])
      expect(order.take()).toBeUndefined()
    }),
  )
})

test('what is added later takes its chance among what is left', () => {
  const order = new FetchOrder<string>({ random: seededRandom(1) })
  order.add('light', 1)
  order.add('heavy', 1e12)
  expect(order.take()).toBe('heavy')
  order.add('heavier', 1e12)
  expect(all(order)).toEqual(['heavier', 'light'])
})

test('who is first is so with a chance in proportion to its weight', () => {
  const times = [0, 0, 0]
  const random = seededRandom(42)
  for (let i = 0; i < 10_000; i++) {
    const order = new FetchOrder<number>({ random })
    for (const [at, weight] of [1, 2, 7].entries()) order.add(at, weight)
    times[order.take()!]!++
  }
  expect(times.map((it) => Math.round(it / 500) / 2)).toEqual([1, 2, 7])
})
