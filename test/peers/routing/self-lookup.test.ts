import { expect, test } from 'vitest'
import { silentLog } from '../../../src/foundation/log.ts'
import { unlessAborted } from '../../../src/foundation/single-flight.ts'
import {
  SELF_LOOKUP_MS_MAX,
  SELF_LOOKUPS_MS,
  SelfLookup,
} from '../../../src/peers/routing/self-lookup.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

function world(search: (call: { signal: AbortSignal }) => Promise<void>) {
  const clock = manualClock()
  let lookups = 0
  const lookUp = async (call: { signal: AbortSignal }): Promise<void> => {
    lookups++
    await search(call)
  }
  const lookup = new SelfLookup({ clock, log: silentLog, lookUp })
  return { clock, lookup, lookups: () => lookups }
}

const [first, second, third] = SELF_LOOKUPS_MS as [number, number, number]

test('a node looks for its place a few times, also where a search fails', async () => {
  const { clock, lookup, lookups } = world(async () => {
    throw new Error('nobody answers')
  })
  lookup.begin()
  await clock.pass(first - 1)
  expect(lookups()).toBe(0)
  await clock.pass(1)
  expect(lookups()).toBe(1)
  await clock.pass(second - first)
  await clock.pass(third - second)
  expect(lookups()).toBe(3)
  expect(clock.sleepers).toBe(0)
})

test('who connects again after a while alone has it look anew', async () => {
  const { clock, lookup, lookups } = world(async () => undefined)
  lookup.begin()
  await clock.pass(first)
  lookup.begin()
  await clock.pass(second - first)
  expect(lookups()).toBe(2) // of the second time
  await lookup.stop()
  expect(clock.sleepers).toBe(0)
})

test('a search does not go on for ever, and ends with the node', async () => {
  const never = new Promise<void>(() => undefined)
  const { clock, lookup, lookups } = world(({ signal }) => unlessAborted(never, signal))
  lookup.begin()
  await clock.pass(first)
  await clock.pass(SELF_LOOKUP_MS_MAX)
  await clock.pass(second - first)
  expect(lookups()).toBe(2)
  await lookup.stop()
  expect(clock.sleepers).toBe(0)
})
