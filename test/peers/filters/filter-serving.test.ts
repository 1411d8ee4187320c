import { expect, test } from 'vitest'
import type { Call } from '../../../src/foundation/call.ts'
import type { Clock } from '../../../src/foundation/clock.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { unlessAborted } from '../../../src/foundation/single-flight.ts'
import type { StoreEvent } from '../../../src/pathinfo/path-info-store.ts'
import { OWNER_ACCESS } from '../../../src/pathinfo/read-access.ts'
import { capacityOf, FILTER_BYTES_MIN } from '../../../src/peers/filters/bloom-filter.ts'
import { FilterCopy } from '../../../src/peers/filters/filter-copy.ts'
import { FILTER_KEEPALIVE_MS, FILTER_NEWS_MS } from '../../../src/peers/filters/filter-news.ts'
import { FilterServing, SNAPSHOT_PAUSE_MS } from '../../../src/peers/filters/filter-serving.ts'
import { SharedPaths } from '../../../src/peers/filters/shared-paths.ts'
import { PathHasher } from '../../../src/peers/filters/sip-hash.ts'
import { until } from '../../fixtures/await-peers.ts'
import { call, noise } from '../../fixtures/content.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

const KEY = noise(16, 'key')

const hashOf = (name: string | number): Uint8Array => Uint8Array.from(noise(20, name))

/** A store and what is shared of it, as far as SharedPaths sees of them. */
function world(held: readonly Uint8Array[] = [], clock: Clock = manualClock()) {
  const marked = new Map(held.map((hash) => [Buffer.from(hash).toString('hex'), hash]))
  let walked: (hash: Uint8Array, isShared: boolean) => void = () => undefined
  const events: StoreEvent[] = []
  let wake = Promise.withResolvers<void>()
  const pathInfos = {
    hashes: async function* () {
      yield* [...marked.values()]
    },
    changes: async function* ({ signal }: Call) {
      for (;;) {
        yield* events.splice(0)
        await unlessAborted(wake.promise, signal)
        wake = Promise.withResolvers<void>()
      }
    },
    get: async () => undefined,
  }
  const shared = {
    ...OWNER_ACCESS,
    isMarked: (hash: Uint8Array) => marked.has(Buffer.from(hash).toString('hex')),
    onWalked: (listener: typeof walked) => {
      walked = listener
      return { [Symbol.dispose]: () => undefined }
    },
  }
  const paths = new SharedPaths({ pathInfos: pathInfos as never, shared, log: silentLog })
  const serving = new FilterServing({ paths, clock })
  return {
    ...{ paths, serving, marked },
    come: (hash: Uint8Array, isShared = true) => walked(hash, isShared),
    happens: (event: StoreEvent) => {
      events.push(event)
      wake.resolve()
    },
  }
}

/** One who watches a filter: takes in whatever is told. */
function watching(serving: FilterServing, peer = 'a') {
  const copy = new FilterCopy({ hasher: new PathHasher(KEY), room: () => true })
  const over = new AbortController()
  const seen = { copy, frames: 0, snapshots: 0, added: 0, isOver: false, end: () => over.abort() }
  const watch = async (): Promise<void> => {
    for await (const news of serving.watch(peer, KEY, { signal: over.signal })) {
      copy.take(news)
      seen.frames++
      if (news.snapshotBytes !== undefined) seen.snapshots++
      seen.added += (news.added?.length ?? 0) / 8
    }
  }
  watch()
    .catch(() => undefined)
    .finally(() => {
      seen.isOver = true
    })
  return seen
}

test('what is shared is in the filter, also when it comes later, and nothing else', async () => {
  const held = Array.from({ length: 5000 }, (_, i) => hashOf(i))
  const clock = manualClock()
  const { paths, serving, come } = world(held, clock)
  await paths.start()
  const seen = watching(serving)
  await until(() => seen.copy.isWhole)
  expect(held.every((hash) => seen.copy.mayHave(hash))).toBe(true)
  const others = Array.from({ length: 10_000 }, (_, i) => hashOf(`other ${i}`))
  expect(others.filter((hash) => seen.copy.mayHave(hash)).length).toBeLessThan(100)
  const late = others.filter((hash) => !seen.copy.mayHave(hash)).slice(0, 3)
  come(late[0]!)
  await until(() => seen.copy.mayHave(late[0]!))
  come(late[1]!)
  come(late[1]!)
  come(late[2]!, false)
  await until(async () => {
    await clock.pass(FILTER_NEWS_MS)
    return seen.copy.mayHave(late[1]!)
  })
  expect(seen.copy.mayHave(late[2]!)).toBe(false)
  expect(seen).toMatchObject({ snapshots: 1, added: 2 })
  await paths.stop()
})

test('what is taken back goes with the next snapshot, soon; what merely went, some time', async () => {
  const held = Array.from({ length: 10 }, (_, i) => hashOf(i))
  const clock = manualClock()
  const { paths, serving, come, happens } = world(held, clock)
  await paths.start()
  const seen = watching(serving)
  await until(() => seen.copy.isWhole)
  happens({ type: 'removed', hash: held[0]! })
  await until(() => paths.size === 9)
  await clock.pass(SNAPSHOT_PAUSE_MS)
  expect(seen).toMatchObject({ snapshots: 1, isOver: false })
  expect(seen.copy.mayHave(held[0]!)).toBe(true)
  come(held[1]!, false)
  await until(async () => {
    await clock.pass(FILTER_NEWS_MS)
    return seen.snapshots === 2 && seen.copy.bytes === FILTER_BYTES_MIN
  })
  expect(held.map((hash) => seen.copy.mayHave(hash))).toEqual(held.map((_, i) => i > 1))
  come(held[2]!, false)
  await clock.pass(SNAPSHOT_PAUSE_MS - 100 * FILTER_NEWS_MS)
  expect(seen.snapshots).toBe(2) // not again so soon
  await paths.stop()
})

test('where more comes than fits in, there is a larger snapshot', async () => {
  const clock = manualClock()
  const { paths, serving, come } = world([], clock)
  await paths.start()
  const seen = watching(serving)
  await until(() => seen.copy.isWhole)
  const many = Array.from({ length: capacityOf(FILTER_BYTES_MIN) + 2000 }, (_, i) => hashOf(i))
  for (const hash of many) come(hash)
  await until(async () => {
    await clock.pass(SNAPSHOT_PAUSE_MS)
    return seen.snapshots === 2 && seen.copy.bytes > FILTER_BYTES_MIN
  })
  await until(() => many.every((hash) => seen.copy.mayHave(hash)))
  await paths.stop()
})

test('where all has to be found out anew, all of it is told anew', async () => {
  const clock = manualClock()
  const { paths, serving, marked, happens } = world([hashOf(1)], clock)
  await paths.start()
  const seen = watching(serving)
  await until(() => seen.copy.isWhole)
  marked.clear()
  marked.set(Buffer.from(hashOf(2)).toString('hex'), hashOf(2))
  happens({ type: 'missed' })
  await until(async () => {
    await clock.pass(SNAPSHOT_PAUSE_MS)
    return seen.snapshots === 2 && seen.copy.mayHave(hashOf(2))
  })
  expect(seen.copy.mayHave(hashOf(1))).toBe(false)
  await paths.stop()
})

test('it is said from time to time that it is still there', async () => {
  const clock = manualClock()
  const { paths, serving } = world([], clock)
  await paths.start()
  const seen = watching(serving)
  await until(() => seen.copy.isWhole)
  const { frames } = seen
  await clock.pass(FILTER_KEEPALIVE_MS - 1)
  expect(seen.frames).toBe(frames)
  await clock.pass(1)
  expect(seen.frames).toBe(frames + 1)
  await paths.stop()
})

test('who asks again and again waits for each snapshot', async () => {
  const clock = manualClock()
  const { paths, serving } = world([], clock)
  await paths.start()
  const first = watching(serving)
  await until(() => first.copy.isWhole)
  first.end()
  const second = watching(serving)
  const other = watching(serving, 'b')
  await until(() => other.copy.isWhole)
  expect(second.frames).toBe(0)
  await clock.pass(SNAPSHOT_PAUSE_MS)
  await until(() => second.copy.isWhole)
  await paths.stop()
})

test('where the store can not be followed any more nobody is told anything', async () => {
  const clock = manualClock()
  const { paths, serving, happens } = world([], clock)
  await paths.start()
  const seen = watching(serving)
  await until(() => seen.copy.isWhole)
  happens({ type: 'nonsense' } as never)
  happens(undefined as never)
  await until(async () => {
    await clock.pass(SNAPSHOT_PAUSE_MS)
    return seen.isOver
  })
  await paths.stop()
})

test('a million paths do not keep others waiting', { timeout: 60_000 }, async () => {
  const bytes = noise(20_000_000, 'million')
  const held = Array.from({ length: 1_000_000 }, (_, i) => bytes.subarray(20 * i, 20 * i + 20))
  const { paths, serving } = world()
  await paths.start()
  const all = await paths.hashes()
  for (const hash of held) all.add(hash)
  let longestMs = 0
  let lastMs = performance.now()
  const timer = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs)
    lastMs = performance.now()
  })
  const told = serving.watch('a', KEY, call)
  expect((await told.next()).value).toEqual({ snapshotBytes: 1_500_000 })
  clearInterval(timer)
  expect(longestMs).toBeLessThan(500) // it was 13, beside other work on the machine
  await told.return(undefined)
  await paths.stop()
})
