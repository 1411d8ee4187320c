import { expect, test } from 'vitest'
import { waitUpTo } from '../../src/foundation/wait-up-to.ts'
import { call } from '../fixtures/content.ts'
import { manualClock, settled } from './manual-clock.ts'

const never = new Promise<void>(() => undefined)

test('it says whether something came in time', async () => {
  const clock = manualClock()
  expect(await waitUpTo(clock, 10, Promise.resolve(), call)).toBe(true)
  const late = waitUpTo(clock, 10, never, call)
  await settled()
  await clock.pass(10)
  expect(await late).toBe(false)
  expect(clock.sleepers).toBe(0)
})

test('what fails is thrown, and so is why the call was aborted', async () => {
  const clock = manualClock()
  await expect(waitUpTo(clock, 10, Promise.reject(new Error('broken')), call)).rejects.toThrow(
    'broken',
  )
  const leaving = new AbortController()
  const waiting = waitUpTo(clock, 10, never, leaving)
  leaving.abort(new Error('gone'))
  await expect(waiting).rejects.toThrow('gone')
  expect(clock.sleepers).toBe(0)
})

test('where the call was aborted before, nothing is left behind that ends the process', async () => {
  const unheard: unknown[] = []
  const note = (reason: unknown): void => void unheard.push(reason)
  process.on('unhandledRejection', note)
  try {
    const clock = manualClock()
    const left = { signal: AbortSignal.abort(new Error('gone')) }
    await expect(waitUpTo(clock, 10, never, left)).rejects.toThrow('gone')
    await expect(waitUpTo(clock, 10, Promise.reject(new Error('x')), left)).rejects.toThrow('gone')
    await settled()
    expect(unheard).toEqual([])
    expect(clock.sleepers).toBe(0)
  } finally {
    process.off('unhandledRejection', note)
  }
})
