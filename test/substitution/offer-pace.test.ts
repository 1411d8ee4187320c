import { expect, test } from 'vitest'
import type { Call } from '../../src/foundation/call.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import {
  type ComeSoFar,
  EXCUSES_MAX,
  hasStalled,
  lookedAt,
  OFFER_LOOK_MS,
  OFFER_STALL_BYTES,
  OFFER_STALL_MS,
  OfferPace,
} from '../../src/substitution/offer-pace.ts'
import { call } from '../fixtures/content.ts'
import { manualClock, outcomeOf, settled } from '../foundation/manual-clock.ts'

const LOOKS = OFFER_STALL_MS / OFFER_LOOK_MS
const nothing = { bytesFetched: 0, directoriesFetched: 0, bytesTotal: 0, bytesDone: 0 }
const still = { since: nothing, ms: OFFER_STALL_MS - OFFER_LOOK_MS }

test.each<[string, Partial<ComeSoFar>, boolean]>([
  ['nothing', {}, true],
  ['a few bytes', { bytesFetched: OFFER_STALL_BYTES - 1 }, true],
  ['bytes', { bytesFetched: OFFER_STALL_BYTES }, false],
  ['a Directory', { directoriesFetched: 1 }, false],
  ['a small file', { bytesTotal: 9, bytesDone: 1 }, false],
])('with %s in all that time it has stalled: %j, %s', (_, come, expected) => {
  expect(hasStalled(lookedAt(still, { ...nothing, ...come }))).toBe(expected)
})

test('what is all here has not stalled, however long it takes to store', () => {
  const whole = { ...nothing, bytesTotal: 9, bytesDone: 9 }
  expect(hasStalled(lookedAt({ ...still, since: whole }, whole))).toBe(false)
})

test('what trickles in between looks adds up', () => {
  const half = { ...nothing, bytesFetched: OFFER_STALL_BYTES / 2 }
  const once = lookedAt({ since: nothing, ms: 0 }, half)
  expect(once.ms).toBe(OFFER_LOOK_MS)
  expect(lookedAt(once, { ...half, bytesFetched: OFFER_STALL_BYTES }).ms).toBe(0)
})

function world(others: Promise<boolean>, isBusy = () => false) {
  const clock = manualClock()
  const progress = new FetchProgress()
  const work = Promise.withResolvers<void>()
  let stalls = 0
  const onStall = (): boolean => {
    stalls++
    return isBusy()
  }
  const hasAnother = ({ signal }: Call): Promise<boolean> => unlessAborted(others, signal)
  const pace = new OfferPace({ clock, progress }, { onStall, hasAnother })
  const done = pace.during(({ signal }) => unlessAborted(work.promise, signal), call)
  const looks = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await clock.pass(OFFER_LOOK_MS)
  }
  return { clock, progress, work, done, looks, stalls: () => stalls }
}

test('where other content comes from there, it is waited for longer, but not for ever', async () => {
  const { done, looks, stalls } = world(Promise.resolve(true), () => true)
  await looks(LOOKS * EXCUSES_MAX)
  expect(stalls()).toBe(EXCUSES_MAX)
  expect(await outcomeOf(done)).toBe('pending')
  await looks(LOOKS)
  expect(await done).toBe(false)
})

test('and anew after each time that something has come', async () => {
  const { done, looks, progress, work } = world(Promise.resolve(true), () => true)
  for (let i = 0; i < 3; i++) {
    await looks(LOOKS * EXCUSES_MAX)
    progress.bytesFetched += OFFER_STALL_BYTES
    await looks(1)
  }
  expect(await outcomeOf(done)).toBe('pending')
  work.resolve()
  expect(await done).toBe(true)
})

test('what has stalled is ended where somebody else has the same', async () => {
  const { done, looks, stalls } = world(Promise.resolve(true))
  await looks(LOOKS - 1)
  expect(await outcomeOf(done)).toBe('pending')
  await looks(1)
  expect(await done).toBe(false)
  expect(stalls()).toBe(1)
})

test('it is waited for where nobody has, and not looked at any more', async () => {
  const { clock, work, done, looks } = world(Promise.resolve(false))
  await looks(10 * LOOKS)
  expect(await outcomeOf(done)).toBe('pending')
  expect(clock.sleepers).toBe(0)
  work.resolve()
  expect(await done).toBe(true)
})

test('it goes on where something comes while others are looked for', async () => {
  const others = Promise.withResolvers<boolean>()
  const { progress, done, looks, stalls } = world(others.promise)
  await looks(LOOKS)
  expect(stalls()).toBe(1)
  progress.bytesFetched += OFFER_STALL_BYTES
  others.resolve(true)
  await settled()
  expect(await outcomeOf(done)).toBe('pending')
  await looks(LOOKS)
  expect(await done).toBe(false)
})

test('a machine that is too busy to look does not take that for a stall', async () => {
  const { clock, done, stalls } = world(Promise.resolve(true))
  await clock.pass(OFFER_STALL_MS)
  expect(await outcomeOf(done)).toBe('pending')
  expect(stalls()).toBe(0)
})

test('work that is done or fails leaves no clock ticking, and its error is told', async () => {
  const { clock, work, done } = world(Promise.resolve(true))
  work.reject(new Error('the cable is cut'))
  await expect(done).rejects.toThrow('the cable is cut')
  expect(clock.sleepers).toBe(0)
})
