import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unhurriedCall } from '../../src/foundation/call.ts'
import { Semaphore } from '../../src/foundation/semaphore.ts'
import { outcomeOf, settled } from './manual-clock.ts'

const call = unhurriedCall()

test('as much as the capacity is in use at once, the next one waits', async () => {
  const semaphore = new Semaphore(2)
  const first = await semaphore.acquire(1, call)
  await semaphore.acquire(1, call)
  const third = semaphore.acquire(1, call)
  expect(await outcomeOf(third)).toBe('pending')
  first[Symbol.dispose]()
  expect(await outcomeOf(third)).toBe('kept')
})

test('room given back twice counts once', async () => {
  const semaphore = new Semaphore(1)
  const first = await semaphore.acquire(1, call)
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  await semaphore.acquire(1, call)
  expect(await outcomeOf(semaphore.acquire(1, call))).toBe('pending')
})

test('nobody overtakes: a large one is not starved by small ones', async () => {
  const semaphore = new Semaphore(3)
  const held = await semaphore.acquire(2, call)
  const large = semaphore.acquire(3, call)
  const small = semaphore.acquire(1, call)
  expect(await outcomeOf(small)).toBe('pending')
  held[Symbol.dispose]()
  expect(await outcomeOf(large)).toBe('kept')
  expect(await outcomeOf(small)).toBe('pending')
  const room = await large
  room[Symbol.dispose]()
  expect(await outcomeOf(small)).toBe('kept')
})

test('more than the capacity passes alone, and gives back what it took', async () => {
  const semaphore = new Semaphore(4)
  const oversized = await semaphore.acquire(100, call)
  const next = semaphore.acquire(1, call)
  expect(await outcomeOf(next)).toBe('pending')
  oversized[Symbol.dispose]()
  expect(await outcomeOf(next)).toBe('kept')
  expect(await outcomeOf(semaphore.acquire(4, call))).toBe('pending')
})

test('who leaves the queue frees those behind', async () => {
  const semaphore = new Semaphore(3)
  await semaphore.acquire(2, call)
  const leaving = new AbortController()
  const large = semaphore.acquire(3, { signal: leaving.signal })
  const small = semaphore.acquire(1, call)
  leaving.abort(new Error('gone'))
  await expect(large).rejects.toThrow('gone')
  expect(await outcomeOf(small)).toBe('kept')
})

test('a signal that aborts after admission changes nothing', async () => {
  const semaphore = new Semaphore(1)
  const caller = new AbortController()
  const first = await semaphore.acquire(1, call)
  const second = semaphore.acquire(1, { signal: caller.signal })
  first[Symbol.dispose]()
  caller.abort()
  const held = await second
  expect(await outcomeOf(semaphore.acquire(1, call))).toBe('pending')
  held[Symbol.dispose]()
})

test('who is aborted before asking takes nothing', async () => {
  const semaphore = new Semaphore(1)
  const signal = AbortSignal.abort(new Error('late'))
  await expect(semaphore.acquire(1, { signal })).rejects.toThrow('late')
  expect(await outcomeOf(semaphore.acquire(1, call))).toBe('kept')
})

test('in any order of asking, leaving and giving back, the capacity holds and all is given back', async () => {
  const step = fc.record({ units: fc.integer({ min: 1, max: 6 }), leaves: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const semaphore = new Semaphore(5)
      let used = 0
      let served = 0
      const runs = steps.map(async ({ units, leaves }) => {
        const caller = new AbortController()
        const acquired = semaphore.acquire(units, caller)
        if (leaves) queueMicrotask(() => caller.abort())
        const held = await acquired.catch(() => undefined)
        if (held === undefined) return
        used += Math.min(units, 5)
        expect(used).toBeLessThanOrEqual(5)
        await settled()
        used -= Math.min(units, 5)
        served++
        held[Symbol.dispose]()
      })
      await Promise.all(runs)
      expect(served).toBeGreaterThanOrEqual(steps.filter((it) => !it.leaves).length)
      expect(await outcomeOf(semaphore.acquire(5, call))).toBe('kept')
    }),
    { numRuns: 50 },
  )
})
