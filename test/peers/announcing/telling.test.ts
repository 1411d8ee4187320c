import { expect, test } from 'vitest'
import { silentLog } from '../../../src/foundation/log.ts'
import {
  ANNOUNCE_BURST_BYTES,
  ANNOUNCE_BYTES_PER_SECOND,
  RETRY_MS,
  Teller,
} from '../../../src/peers/announcing/telling.ts'
import type { Router } from '../../../src/peers/routing/router.ts'
import { call } from '../../fixtures/content.ts'
import { manualClock, outcomeOf } from '../../foundation/manual-clock.ts'

const KEY_BYTES = 2_000

/** A teller over a router that takes ten keys at a time, and what was told by when. */
function telling(init: { fails?: () => boolean; reach?: () => number } = {}) {
  const clock = manualClock()
  const told: { key: Uint8Array; atMs: number }[] = []
  const router: Router = {
    get reach() {
      return init.reach?.() ?? 1
    },
    async *holders() {},
    announce: async (keys) => {
      if (init.fails?.() === true) throw new Error('nobody listens')
      for (const key of keys.slice(0, 10)) told.push({ key, atMs: clock.now() })
      const count = Math.min(10, keys.length)
      return { keys: count, told: 1, bytes: count * KEY_BYTES }
    },
    withdraw: async () => undefined,
  }
  return { clock, told, teller: new Teller({ router, clock, log: silentLog }, {}) }
}

const keys = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => Uint8Array.of(i >> 8, i & 255))
const wanted = (all: readonly Uint8Array[]): readonly Uint8Array[] => all

test('all keys are told, each once and in their order, however many a message takes', async () => {
  const { told, teller } = telling()
  await teller.tell({ keys: keys(95), wanted }, call)
  expect(told.map(({ key }) => key)).toEqual(keys(95))
  expect(teller.announced).toBe(95)
})

test('a burst goes out at once, the rest at the rate of the budget', async () => {
  const { clock, told, teller } = telling()
  const count = ANNOUNCE_BURST_BYTES / KEY_BYTES + 500
  const done = teller.tell({ keys: keys(count), wanted }, call)
  while ((await outcomeOf(done)) === 'pending') {
    const sent = told.length * KEY_BYTES
    const earned = (clock.now() / 1000) * ANNOUNCE_BYTES_PER_SECOND
    expect(sent).toBeLessThanOrEqual(ANNOUNCE_BURST_BYTES + earned + 10 * KEY_BYTES)
    await clock.pass(500)
  }
  const early = told.filter(({ atMs }) => atMs === 0).length
  expect(early * KEY_BYTES).toBeGreaterThanOrEqual(ANNOUNCE_BURST_BYTES)
  expect(clock.now()).toBeGreaterThan(((500 - 20) * KEY_BYTES * 1000) / ANNOUNCE_BYTES_PER_SECOND)
  expect(told.length).toBe(count)
})

test('what nobody took is told again later, unless it is not wanted any more', async () => {
  let fails = true
  const { clock, told, teller } = telling({ fails: () => fails })
  const [first, second] = keys(2)
  let isWanted = true
  const still = (all: readonly Uint8Array[]) => (isWanted ? all : all.slice(1))
  const done = teller.tell({ keys: [first!, second!], wanted: still }, call)
  await clock.pass(0)
  fails = false
  isWanted = false
  await clock.pass(RETRY_MS)
  await done
  expect(told.map(({ key }) => key)).toEqual([second])
})

test('where nobody is in reach nothing is tried', async () => {
  let reach = 0
  const { clock, told, teller } = telling({ reach: () => reach })
  const done = teller.tell({ keys: keys(1), wanted }, call)
  await clock.pass(10_000)
  expect(told).toEqual([])
  reach = 1
  await clock.pass(1_000)
  await done
  expect(told.length).toBe(1)
})
