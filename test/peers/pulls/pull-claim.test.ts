import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { PullClaim } from '../../../src/peers/pulls/pull-claim.ts'
import {
  PULL_KEEPALIVE_MS,
  PULL_NEWS_MS,
  type PullNews,
  TOLD_AT_ONCE,
} from '../../../src/peers/pulls/pull-news.ts'
import { ToldRoom } from '../../../src/peers/pulls/told-room.ts'
import { FetchProgress } from '../../../src/substitution/fetch-progress.ts'
import { call, noise } from '../../fixtures/content.ts'
import { manualClock, settled } from '../../foundation/manual-clock.ts'

const chunk = (i: number, size = 1): ChunkRef => ({ digest: Digest.of(noise(32, i)), size })

function world(narSize: number, chunksMax = 100_000) {
  const clock = manualClock()
  const room = new ToldRoom({}, { chunks: chunksMax })
  const progress = new FetchProgress()
  const claim = new PullClaim({ clock, room }, { narSize, progress })
  const watch = (): PullNews[] => {
    const told: PullNews[] = []
    const watching = async (): Promise<void> => {
      for await (const news of claim.watch(call)) told.push(news)
    }
    void watching()
    return told
  }
  return { claim, clock, room, progress, watch }
}

test('who watches is told at once, then what is new, and now and then that it goes on', async () => {
  const { claim, clock, progress, watch } = world(100)
  const told = watch()
  await settled()
  expect(told).toEqual([{ phase: 'waiting', run: 0, pulledBytes: 0, chunks: [] }])
  claim.begin(7)
  progress.bytesFetched = 5
  expect(claim.stored(chunk(1))).toBe(true)
  await settled()
  await clock.pass(PULL_NEWS_MS)
  expect(told[1]).toEqual({ phase: 'pulling', run: 7, pulledBytes: 5, chunks: [chunk(1)] })
  await clock.pass(PULL_KEEPALIVE_MS)
  await clock.pass(PULL_NEWS_MS)
  expect(told[2]).toEqual({ phase: 'pulling', run: 7, pulledBytes: 5, chunks: [] })
})

test('who leaves it to another waits again, and begins anew if it has to', async () => {
  const { claim, clock, watch } = world(2)
  const told = watch()
  await settled()
  claim.begin(7)
  claim.stored(chunk(1))
  claim.stored(chunk(2))
  await settled()
  await clock.pass(PULL_NEWS_MS)
  claim.yield()
  expect(claim.storedBytes).toBe(0)
  await settled()
  await clock.pass(PULL_NEWS_MS)
  expect(told.at(-1)).toMatchObject({ phase: 'waiting', run: 0, chunks: [] })
  claim.begin(8)
  expect(claim.stored(chunk(1))).toBe(true)
  await settled()
  await clock.pass(PULL_NEWS_MS)
  expect(told.at(-1)).toMatchObject({ phase: 'pulling', run: 8, chunks: [chunk(1)] })
})

test('who comes late is told all, some at a time, and last that it is complete', async () => {
  const { claim, watch } = world(100_000)
  claim.begin(1)
  for (let i = 0; i < TOLD_AT_ONCE + 1; i++) claim.stored(chunk(i % 10))
  claim.complete()
  const told = watch()
  await settled()
  expect(told.map(({ phase, chunks }) => [phase, chunks.length])).toEqual([
    ['pulling', TOLD_AT_ONCE],
    ['complete', 1],
  ])
})

test('what goes beyond the NAR is not told, nor anything after it', async () => {
  const { claim } = world(10)
  claim.begin(1)
  expect(claim.stored(chunk(1, 6))).toBe(true)
  expect(claim.stored(chunk(2, 5))).toBe(false)
  expect(claim.stored(chunk(3, 1))).toBe(false)
})

test('what finds no room is not told, and the room is given back in the end', async () => {
  const { claim, room } = world(10, 1)
  claim.begin(1)
  expect(claim.stored(chunk(1))).toBe(true)
  expect(claim.stored(chunk(2))).toBe(false)
  claim.end()
  expect(room.take(1)).toBe(true)
})

test('the end of a claim ends what is told of it', async () => {
  const { claim } = world(10)
  const told: PullNews[] = []
  const watching = (async () => {
    for await (const news of claim.watch(call)) told.push(news)
  })()
  await settled()
  claim.end()
  await watching
  expect(told).toHaveLength(1)
})
