import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteBudget } from '../../../src/peers/announcing/byte-budget.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

test('a burst, then so many bytes a second, whatever each thing turns out to cost', async () => {
  const costs = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(costs, async (all) => {
      const clock = manualClock()
      const budget = new ByteBudget({ clock }, { burstBytes: 1_000, bytesPerSecond: 100 })
      let spent = 0
      for (const cost of all) {
        await clock.pass(budget.waitMs())
        expect(budget.waitMs()).toBe(0)
        // Before the last thing is begun, no more was spent than had been earned.
        expect(spent).toBeLessThanOrEqual(1_000 + (clock.now() / 1000) * 100)
        budget.spend(cost)
        spent += cost
      }
    }),
    { numRuns: 30 },
  )
})

test('a reserve is left to others', async () => {
  const clock = manualClock()
  const budget = new ByteBudget({ clock }, { burstBytes: 1_000, bytesPerSecond: 100 })
  budget.spend(600)
  expect(budget.waitMs()).toBe(0)
  expect(budget.waitMs(500)).toBeGreaterThan(900)
  await clock.pass(budget.waitMs(500))
  expect(budget.waitMs(500)).toBe(0)
})
