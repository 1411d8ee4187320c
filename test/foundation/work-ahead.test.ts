import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import { WorkAhead, type WorkAheadInit } from '../../src/foundation/work-ahead.ts'
import { manualClock, settled } from './manual-clock.ts'

const INIT: WorkAheadInit = { weightMax: 10, atOnce: 2, waitingMax: 100, quietMs: 1_000 }

/** Work that notes when it begins, and goes on until it is ended. */
function world(init: Partial<WorkAheadInit> = {}) {
  const clock = manualClock()
  const ahead = new WorkAhead({ clock, log: silentLog }, { ...INIT, ...init })
  const begun: string[] = []
  const ends = new Map<string, PromiseWithResolvers<void>>()
  const add = (key: string, weight = 1): void => {
    const end = ends.get(key) ?? Promise.withResolvers<void>()
    ends.set(key, end)
    const run = async ({ signal }: { signal: AbortSignal }): Promise<void> => {
      begun.push(key)
      await unlessAborted(end.promise, signal)
    }
    ahead.add({ key, weight, run })
  }
  const end = async (key: string): Promise<void> => {
    ends.get(key)!.resolve()
    await settled()
  }
  return { clock, ahead, begun, add, end, ends }
}

test('a few at once, in the order in which they were added', async () => {
  const { begun, add, end } = world()
  for (const key of ['a', 'b', 'c', 'd']) add(key)
  expect(begun).toEqual(['a', 'b'])
  await end('b')
  expect(begun).toEqual(['a', 'b', 'c'])
  await end('a')
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
})

test('or what was added last first', async () => {
  const { begun, add, end } = world({ isLastFirst: true, atOnce: 1 })
  for (const key of ['a', 'b', 'c']) add(key)
  await end('a')
  await end('c')
  expect(begun).toEqual(['a', 'c', 'b'])
})

test('it goes no further ahead than so much, until that is asked for', async () => {
  const { ahead, begun, add, end } = world()
  add('a', 6)
  add('b', 5)
  add('c', 1)
  await end('a')
  expect(begun).toEqual(['a']) // b would be too much, and c waits for its turn
  ahead.asked('other')
  expect(begun).toEqual(['a'])
  ahead.asked('a')
  expect(begun).toEqual(['a', 'b', 'c'])
})

test('what is too much by itself is not done, nor what there is no room for', async () => {
  const { begun, add, end } = world({ atOnce: 1, waitingMax: 1 })
  add('huge', 11)
  for (const key of ['a', 'b', 'c']) add(key)
  await end('a')
  await end('b')
  expect(begun).toEqual(['a', 'b'])
})

test('what is ahead is not done twice, and what was asked for not at all', async () => {
  const { ahead, begun, add, end } = world({ atOnce: 1 })
  for (const key of ['a', 'a', 'b', 'c']) add(key)
  ahead.asked('b')
  await end('a')
  await end('c')
  expect(begun).toEqual(['a', 'c'])
})

test('where nobody has asked for long the rest is left, and there is room for others', async () => {
  const { clock, ahead, begun, add, end } = world({ atOnce: 1 })
  ahead.asked('something')
  add('a', 10)
  add('b', 10)
  await end('a')
  await clock.pass(INIT.quietMs)
  ahead.asked('something else')
  expect(begun).toEqual(['a'])
  add('c', 10)
  expect(begun).toEqual(['a', 'c'])
})

test('one that fails is no reason to end', async () => {
  const { begun, add, ends } = world({ atOnce: 1 })
  add('a')
  add('b')
  ends.get('a')!.reject(new Error('broken'))
  await settled()
  expect(begun).toEqual(['a', 'b'])
})

test('it stops, and takes what is under way with it', async () => {
  const { ahead, begun, add } = world({ atOnce: 1 })
  add('a')
  add('b')
  await ahead.stop()
  add('c')
  ahead.asked('a')
  expect(begun).toEqual(['a'])
})
