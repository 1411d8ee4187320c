import { expect, test } from 'vitest'
import type { ExchangeClient } from '../../src/peers/exchange/exchange-client.ts'
import type { Ask } from '../../src/peers/exchange/exchange-session.ts'
import { PathAsker } from '../../src/peers/path-asker.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'

const one = pathNamed('one').hash
const two = pathNamed('two').hash

function world(serve: (ask: Ask) => Promise<void>) {
  const happened: string[] = []
  const client = {
    ask: async (_peer: string, ask: Ask) => {
      happened.push('sent')
      await serve(ask)
    },
  } as unknown as ExchangeClient
  const patience = {
    asked: () => {
      happened.push('asked')
      return {
        answered: () => void happened.push('answered'),
        over: () => void happened.push('over'),
      }
    },
  }
  return { happened, asker: new PathAsker({ client, patience }) }
}

test('questions that come up together travel in one request, and it is known how long it takes', async () => {
  const { happened, asker } = world(async ({ onAnswer }) => {
    await onAnswer({ type: 'absent', indices: [0] })
    await onAnswer({ type: 'absent', indices: [1] })
  })
  const asked = [one, two].map((hash) => asker.ask('a', hash, call))
  expect(await Promise.all(asked)).toEqual([undefined, undefined])
  expect(happened).toEqual(['asked', 'sent', 'answered', 'over'])
})

test('a request that fails is waited for no longer', async () => {
  const { happened, asker } = world(async () => {
    throw new Error('broken')
  })
  await expect(asker.ask('a', one, call)).rejects.toThrow('broken')
  expect(happened).toEqual(['asked', 'sent', 'over'])
})
