import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { BURST_MS, RateLimit } from '../../../src/foundation/rate-limit.ts'
import { Semaphore } from '../../../src/foundation/semaphore.ts'
import { ChunkServing, SIGN_OF_LIFE_MS } from '../../../src/peers/exchange/chunk-serving.ts'
import type { Answer } from '../../../src/peers/exchange/want.ts'
import { call, noise } from '../../fixtures/content.ts'
import { manualClock, settled } from '../../foundation/manual-clock.ts'

const BYTES = 100_000

test('chunks go out at the rate that is set, and who waits is told that they will come', async () => {
  const clock = manualClock()
  const { blobs } = recordCastore({ records: new MemoryRecordStore() })
  const contents = [1, 2, 3].map((name) => noise(BYTES, name))
  const held = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await blobs.putChunks(held, call)
  const uploads = new RateLimit({ clock }, { bytesPerSecond: BYTES / 2 })
  const serving = new ChunkServing({ blobs, clock, uploads })
  const answers: { atMs: number; chunks: number }[] = []
  const send = async (answer: Answer): Promise<void> => {
    if (answer.type === 'chunks') answers.push({ atMs: clock.now(), chunks: answer.chunks.length })
  }
  const served = held.map(({ digest }) =>
    serving.serve({ type: 'chunks', digests: [digest] }, new Semaphore(1), send, call),
  )
  await settled()
  for (let ms = 0; ms < 4000; ms += 50) await clock.pass(50)
  await Promise.all(served)
  expect(serving.bytesServed).toBe(3 * BYTES)
  const whole = answers.filter(({ chunks }) => chunks === 1).map(({ atMs }) => atMs)
  expect(whole).toEqual([0, 2000 - BURST_MS, 4000 - BURST_MS])
  const signs = answers.filter(({ chunks }) => chunks === 0).map(({ atMs }) => atMs)
  expect(signs).toEqual([1, 1, 2, 3].map((times) => times * SIGN_OF_LIFE_MS))
})
