import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import type { Call } from '../../../src/foundation/call.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { unlessAborted } from '../../../src/foundation/single-flight.ts'
import type { Ask } from '../../../src/peers/exchange/exchange-session.ts'
import { AnswerTimes, FIRST_ANSWER_MS } from '../../../src/peers/pulls/answer-times.ts'
import type { PullNews } from '../../../src/peers/pulls/pull-news.ts'
import { PullRivals, STALLED_MS } from '../../../src/peers/pulls/pull-rivals.ts'
import { ToldRoom } from '../../../src/peers/pulls/told-room.ts'
import { noise } from '../../fixtures/content.ts'
import { manualClock, settled } from '../../foundation/manual-clock.ts'

const NAR_SIZE = 1_000_000
const NEWS: PullNews = { phase: 'pulling', run: 1, pulledBytes: 0, chunks: [] }

const chunks = (count: number, size: number, from = 0): ChunkRef[] =>
  Array.from({ length: count }, (_, i) => ({ digest: Digest.of(noise(32, from + i)), size }))

function world(init: { readonly room?: number } = {}) {
  const clock = manualClock()
  const asks = new Map<string, { ask: Ask; end: (error?: Error) => void }>()
  const here = new Set(['a', 'b'])
  const stalled: string[] = []
  const failed: string[] = []
  const client = {
    ask: async (peer: string, ask: Ask, call: Call) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const end = (error?: Error): void => (error === undefined ? resolve() : reject(error))
      asks.set(peer, { ask, end })
      await unlessAborted(promise, call.signal)
    },
    reportError: () => undefined,
  }
  const room = new ToldRoom({}, { chunks: init.room ?? 1_000 })
  const network = {
    connected: () => [...here].map((id) => ({ id, address: '', latencyMs: undefined })),
  }
  const ledger = { standing: () => 'welcome' as const }
  const components = { client, network, ledger, clock, log: silentLog, room }
  const answerTimes = new AnswerTimes({ clock })
  const rivals = new PullRivals(
    { ...components, answerTimes },
    {
      name: Digest.of(noise(32, 'name')),
      narSize: NAR_SIZE,
      isTrusted: () => true,
      onStalled: (peer) => stalled.push(peer),
    },
  )
  const say = (peer: string, news: Partial<PullNews>): void => {
    const { ask, end } = asks.get(peer)!
    try {
      void ask.onAnswer({ type: 'pull', news: { ...NEWS, ...news } })
    } catch (error) {
      failed.push(peer)
      end(error as Error) // as an exchange session does
    }
  }
  const of = (peer: string) => rivals.all.find(({ id }) => id === peer)
  return { ...{ clock, asks, here, stalled, failed, rivals, say, of, room } }
}

test('it is settled when all have answered, or have had the time to', async () => {
  const { rivals, clock, asks, say } = world()
  rivals.meetAll()
  expect(rivals.settlesAtMs).toBe(FIRST_ANSWER_MS)
  say('a', { phase: 'waiting' })
  expect(rivals.settlesAtMs).toBe(FIRST_ANSWER_MS)
  void asks.get('b')!.ask.onAnswer({ type: 'absent', indices: [0] })
  asks.get('b')!.end()
  await settled()
  expect(rivals.settlesAtMs).toBeLessThan(clock.now())
  expect(rivals.all.map(({ id }) => id)).toEqual(['a'])
})

test('what is told adds up; another run begins anew', () => {
  const { rivals, say, of } = world()
  rivals.meetAll()
  say('a', { chunks: chunks(2, 100) })
  say('a', { chunks: chunks(1, 100, 2) })
  expect(of('a')?.chunks).toEqual(chunks(3, 100))
  say('a', { run: 2, chunks: chunks(1, 100, 9) })
  expect(of('a')?.chunks).toEqual(chunks(1, 100, 9))
})

test('who brings nothing new for a while is not waited for', async () => {
  const { rivals, clock, say, of, stalled } = world()
  rivals.meetAll()
  say('a', { pulledBytes: 200_000 })
  await clock.pass(STALLED_MS - 1)
  say('a', { pulledBytes: 300_000 })
  await clock.pass(STALLED_MS - 1)
  say('a', { pulledBytes: 300_001 })
  expect(of('a')?.isSpent).toBe(false)
  await clock.pass(1)
  expect(of('a')?.isSpent).toBe(true)
  expect(of('a')?.isSpent).toBe(true)
  expect(stalled).toEqual(['a'])
})

test('who waits does not stall', async () => {
  const { rivals, clock, say, of } = world()
  rivals.meetAll()
  say('a', { phase: 'waiting', run: 0 })
  await clock.pass(10 * STALLED_MS)
  expect(of('a')?.isSpent).toBe(false)
})

test('more bytes than the NAR has, or more chunks than it can have, are a lie', async () => {
  const { rivals, say, failed } = world({ room: 100_000 })
  rivals.meetAll()
  say('a', { chunks: chunks(2, NAR_SIZE / 2) })
  expect(failed).toEqual([])
  say('a', { chunks: chunks(1, 1, 2) })
  expect(failed).toEqual(['a'])
  say('b', { chunks: chunks(12_000, 1) })
  expect(failed).toEqual(['a', 'b'])
  await settled()
  expect(rivals.all).toEqual([])
})

test('what finds no room is left out, with all that follows, and room is given back', async () => {
  const { rivals, say, of, room } = world({ room: 3 })
  rivals.meetAll()
  say('a', { chunks: chunks(2, 100) })
  say('a', { chunks: chunks(2, 100, 2) })
  say('a', { chunks: chunks(1, 100, 4) })
  expect(of('a')?.chunks).toEqual(chunks(2, 100))
  await rivals.end()
  expect(room.take(3)).toBe(true)
})

test('who says that it wants the path while its answer is on its way is asked again', async () => {
  const { rivals, asks } = world()
  rivals.meetAll()
  const first = asks.get('a')!
  rivals.meet('a', { wants: true })
  void first.ask.onAnswer({ type: 'absent', indices: [0] })
  first.end()
  await settled()
  expect(asks.get('a')).not.toBe(first)
  expect(rivals.all.map(({ id }) => id)).toContain('a')
})
