import { expect, test } from 'vitest'
import { announce } from '../../simulations/scenarios/announcing.ts'
import { lookUpMany } from '../../simulations/scenarios/lookups.ts'

test.each([
  [100, 1.35],
  [1_000, 1.9],
  [10_000, 2.4],
])('lookups among %i nodes take as many hops as theory says', (nodes, hops) => {
  const figures = lookUpMany({ nodes, seed: 1, kind: 'buckets', lookups: 300 })
  expect(Math.abs(figures.hops - hops)).toBeLessThan(0.1)
  expect(figures.hits).toBeGreaterThan(0.99)
})

test('the sweep announces every digest within a day, and costs little more than its records', async () => {
  const digests = 2_000
  const [first, second] = await announce({ nodes: 100, digests, days: 2 })
  expect(first!.keys).toBeGreaterThan(digests)
  expect(second!.keys).toBeGreaterThanOrEqual(digests)
  expect(second!.keys / digests).toBeLessThan(1.5)
  expect(second!.bytes / second!.keys).toBeLessThan(3_000)
})
