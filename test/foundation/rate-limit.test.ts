import { expect, test } from 'vitest'
import { unhurriedCall } from '../../src/foundation/call.ts'
import { BURST_MS, RateLimit } from '../../src/foundation/rate-limit.ts'
import { manualClock, outcomeOf } from './manual-clock.ts'

const call = unhurriedCall()

test('a burst passes at once, and then so many bytes a second, in the order of asking', async () => {
  const clock = manualClock()
  const limit = new RateLimit({ clock }, { bytesPerSecond: 1000 })
  await limit.pass(BURST_MS, call)
  const passed: number[] = []
  const waiting = [1, 2, 3].map((i) => limit.pass(500, call).then(() => passed.push(i)))
  await Promise.resolve()
  for (const expected of [[1], [1, 2], [1, 2, 3]]) {
    await clock.pass(expected.length === 1 ? 0 : 500)
    expect(passed).toEqual(expected)
  }
  await Promise.all(waiting)
})

test('what did not pass in a quiet time is not saved up beyond the burst', async () => {
  const clock = manualClock()
  const limit = new RateLimit({ clock }, { bytesPerSecond: 1000 })
  await clock.pass(60_000)
  await limit.pass(1000, call)
  const next = limit.pass(1, call)
  await clock.pass(1000 - BURST_MS - 1)
  expect(await outcomeOf(next)).toBe('pending')
  await clock.pass(1)
  expect(await outcomeOf(next)).toBe('kept')
})

test('who waits can leave', async () => {
  const clock = manualClock()
  const limit = new RateLimit({ clock }, { bytesPerSecond: 1000 })
  await limit.pass(10_000, call)
  const leaving = new AbortController()
  const waiting = limit.pass(1, leaving)
  leaving.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})
