import { expect, test } from 'vitest'
import { Allowance } from '../../src/foundation/allowance.ts'
import { manualClock } from './manual-clock.ts'

function taken(allowance: Allowance, tries: number): number {
  return Array.from({ length: tries }, () => allowance.take()).filter(Boolean).length
}

test('after a quiet time there is a burst, and then so many a second', async () => {
  const clock = manualClock()
  const allowance = new Allowance({ clock }, { burst: 10, perSecond: 4 })
  expect(taken(allowance, 100)).toBe(10)
  await clock.pass(1_000)
  expect(taken(allowance, 100)).toBe(4)
  await clock.pass(250)
  expect(taken(allowance, 100)).toBe(1)
  await clock.pass(60_000)
  expect(taken(allowance, 100)).toBe(10)
})

test('what is earned in small steps is not lost', async () => {
  const clock = manualClock()
  const allowance = new Allowance({ clock }, { burst: 1, perSecond: 1 })
  expect(taken(allowance, 2)).toBe(1)
  for (let i = 0; i < 9; i++) {
    await clock.pass(100)
    expect(allowance.take()).toBe(false)
  }
  await clock.pass(101)
  expect(allowance.take()).toBe(true)
})
