import { expect, test } from 'vitest'
import { MISS_MS, MISSES_MAX, MissMemory } from '../../src/substitution/miss-memory.ts'
import { manualClock } from '../foundation/manual-clock.ts'

test('a miss is remembered for its time and no longer', async () => {
  const clock = manualClock()
  const misses = new MissMemory({ clock })
  misses.remember('a')
  await clock.pass(MISS_MS - 1)
  expect(misses.has('a')).toBe(true)
  expect(misses.has('b')).toBe(false)
  misses.remember('a')
  await clock.pass(MISS_MS - 1)
  expect(misses.has('a')).toBe(true)
  await clock.pass(1)
  expect(misses.has('a')).toBe(false)
})

test('all misses can be forgotten at once', () => {
  const misses = new MissMemory({ clock: manualClock() }, { missMs: 5 })
  misses.remember('a')
  misses.forgetAll()
  expect(misses.has('a')).toBe(false)
})

test('of too many misses the oldest goes', () => {
  const misses = new MissMemory({ clock: manualClock() })
  for (let i = 0; i < MISSES_MAX; i++) misses.remember(`${i}`)
  misses.remember('0') // the youngest now
  misses.remember('one more')
  expect(misses.has('0')).toBe(true)
  expect(misses.has('1')).toBe(false)
  expect(misses.has('2')).toBe(true)
})
