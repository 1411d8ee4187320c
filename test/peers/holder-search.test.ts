import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import {
  HOLDER_MS,
  HOLDERS_AT_ONCE,
  HOLDERS_MAX,
  searchHolders,
} from '../../src/peers/holder-search.ts'
import type { Peer } from '../../src/peers/peer-network.ts'
import { noise } from '../fixtures/content.ts'
import { type ManualClock, manualClock, settled } from '../foundation/manual-clock.ts'

/** A search among peers of whom the `dead` can not be reached and the others are asked. */
function searching(
  names: readonly string[],
  init: { isDead: (id: string) => boolean; isEnough?: () => boolean; isIdle?: boolean },
) {
  const clock: ManualClock = manualClock()
  const asked: string[] = []
  let dials = 0
  const expiry = new AbortController()
  const call = { signal: expiry.signal }
  const connect = async ({ id }: Peer): Promise<void> => {
    dials++
    if (init.isDead(id)) await unlessAborted(new Promise<never>(() => undefined), call.signal)
  }
  const router = {
    async *holders() {
      for (const id of names) yield { id, addresses: [] }
    },
  }
  const ledger = {
    standing: (id: string) => (id === 'banned' ? ('banned' as const) : ('welcome' as const)),
  }
  const done = searchHolders(
    { network: { connect }, router, ledger, clock, log: silentLog },
    {
      key: noise(32),
      ask: async (peer) => void asked.push(peer),
      isEnough: init.isEnough ?? (() => false),
    },
    call,
  )
  return { clock, asked, done, expiry, dials: () => dials }
}

const sybils = (count: number): string[] => Array.from({ length: count }, (_, i) => `sybil-${i}`)
const isDead = (id: string): boolean => id.startsWith('sybil')

test('those that keep silent give way to the next ones after a short time', async () => {
  const search = searching([...sybils(2 * HOLDERS_AT_ONCE), 'honest'], { isDead })
  await settled()
  expect(search.dials()).toBe(HOLDERS_AT_ONCE)
  await search.clock.pass(HOLDER_MS)
  expect(search.asked).toEqual([])
  await search.clock.pass(HOLDER_MS)
  expect(search.asked).toEqual(['honest'])
  search.expiry.abort(new Error('over'))
  await search.done
})

test('who is banned is not dialled, and only so many are', async () => {
  const names = Array.from({ length: 2 * HOLDERS_MAX }, (_, i) => `liar-${i}`)
  const search = searching(['banned', ...names], { isDead: () => false })
  await search.done
  expect(search.dials()).toBe(HOLDERS_MAX)
  expect(search.asked).not.toContain('banned')
})

test('when it is enough, nobody else is dialled', async () => {
  const isEnough = (): boolean => true
  const search = searching(['a', 'b', 'c'], { isDead: () => false, isEnough })
  await search.done
  expect(search.dials()).toBe(1)
})
