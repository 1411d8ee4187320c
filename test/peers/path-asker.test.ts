import { expect, test } from 'vitest'
import type { Call } from '../../src/foundation/call.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import type { ExchangeClient } from '../../src/peers/exchange/exchange-client.ts'
import type { Ask } from '../../src/peers/exchange/exchange-session.ts'
import { NEIGHBOUR_MS_MAX, NEIGHBOUR_UNPROVEN_MS, PathAsker } from '../../src/peers/path-asker.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { manualClock, settled } from '../foundation/manual-clock.ts'

const { hash } = pathNamed('wanted')

function world() {
  const clock = manualClock()
  const asks: { ask: Ask; end: () => void }[] = []
  const client = {
    ask: async (_peer: string, ask: Ask, inner: Call) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      asks.push({ ask, end: resolve })
      await unlessAborted(promise, inner.signal)
    },
  } as unknown as ExchangeClient
  const asker = new PathAsker({ client, clock })
  const ask = async (): Promise<void> => {
    asker.ask('a', hash, call).catch(() => undefined)
    await new Promise(setImmediate)
  }
  const answer = async (): Promise<void> => {
    const { ask, end } = asks.shift()!
    void ask.onAnswer({ type: 'absent', indices: [0] })
    end()
    await settled()
  }
  return { clock, asker, asks, ask, answer }
}

test('a peer is silent once it owes an answer for longer than it is waited for', async () => {
  const { clock, asker, ask, answer } = world()
  expect(asker.isSilent('a')).toBe(false)
  await ask()
  await clock.pass(NEIGHBOUR_UNPROVEN_MS - 1)
  expect(asker.isSilent('a')).toBe(false)
  await clock.pass(1)
  expect(asker.isSilent('a')).toBe(true)
  await answer()
  expect(asker.isSilent('a')).toBe(false)
})

test('who keeps silent is sent few more questions', async () => {
  const { clock, asker, asks, ask } = world()
  await ask()
  await clock.pass(NEIGHBOUR_UNPROVEN_MS)
  while (asker.mayAsk('a')) await ask()
  expect(asks.length).toBe(8)
})

test('who usually takes long is waited for longer, but not for ever', async () => {
  const { clock, asker, ask, answer } = world()
  expect(asker.patienceMs('a')).toBe(NEIGHBOUR_UNPROVEN_MS)
  await ask()
  await clock.pass(50)
  await answer()
  expect(asker.patienceMs('a')).toBe(400)
  await ask()
  await clock.pass(60_000)
  await answer()
  expect(asker.patienceMs('a')).toBe(NEIGHBOUR_MS_MAX)
})
