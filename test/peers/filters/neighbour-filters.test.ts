import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/foundation/clock.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { unlessAborted } from '../../../src/foundation/single-flight.ts'
import type { AnswerItem, Ask } from '../../../src/peers/exchange/exchange-session.ts'
import {
  BloomFilter,
  FILTER_BYTES_MAX,
  FILTER_BYTES_MIN,
} from '../../../src/peers/filters/bloom-filter.ts'
import { type FilterNews, PART_BYTES } from '../../../src/peers/filters/filter-news.ts'
import {
  FILTERS_BYTES_MAX,
  FILTERS_MAX,
  NEWS_BURST,
  NeighbourFilters,
  RETRY_MS,
  RETRY_MS_MAX,
} from '../../../src/peers/filters/neighbour-filters.ts'
import { PathHasher } from '../../../src/peers/filters/sip-hash.ts'
import { PeerError, peerError } from '../../../src/peers/peer-error.ts'
import { noise } from '../../fixtures/content.ts'
import { type ManualClock, manualClock, settled } from '../../foundation/manual-clock.ts'

/** A request that a peer has got. */
interface Asked {
  readonly peer: string
  readonly key: Uint8Array
  /** Answers it; what the asking side throws ends it. */
  says(...news: FilterNews[]): void
  answers(answer: AnswerItem): void
  ends(error?: unknown): void
  readonly outcome: Promise<unknown>
}

function world(clock: Clock & ManualClock = manualClock()) {
  const asked: Asked[] = []
  const here = new Set<string>()
  let meet: (peer: string) => void = () => undefined
  const client = {
    ask: async (peer: string, { want, onAnswer }: Ask, call: { signal: AbortSignal }) => {
      if (want.type !== 'filter') throw new Error('it asks for filters')
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const answers = (answer: AnswerItem): void => {
        try {
          void onAnswer(answer)
        } catch (error) {
          reject(error)
        }
      }
      asked.push({
        ...{ peer, key: want.key, answers },
        says: (...news) => {
          for (const it of news) answers({ type: 'filter', news: it })
        },
        ends: (error) => (error === undefined ? resolve() : reject(error)),
        outcome: promise.then(
          () => undefined,
          (error) => error,
        ),
      })
      await unlessAborted(promise, call.signal)
    },
  }
  const network = {
    connected: () => [...here].map((id) => ({ id, address: '', latencyMs: undefined })),
    onConnect: (handler: (peer: string) => void) => {
      meet = handler
    },
  }
  const filters = new NeighbourFilters({ client, network, clock, log: silentLog })
  const connect = async (...peers: string[]): Promise<void> => {
    for (const peer of peers) {
      here.add(peer)
      meet(peer)
    }
    await settled()
  }
  return { asked, here, filters, connect, clock }
}

const snapshotOf = (bytes: Uint8Array): FilterNews[] => {
  const parts = Array.from({ length: Math.ceil(bytes.length / PART_BYTES) }, (_, i) => ({
    bits: bytes.subarray(i * PART_BYTES, (i + 1) * PART_BYTES),
  }))
  return [{ snapshotBytes: bytes.length }, ...parts]
}

function filterOf({ key }: Asked, ...names: string[]): Uint8Array {
  const filter = BloomFilter.sizedFor(names.length)
  for (const name of names) filter.add(new PathHasher(key).hash(noise(20, name)))
  return filter.bytes
}

function addedOf({ key }: Asked, name: string): FilterNews {
  const { low, high } = new PathHasher(key).hash(noise(20, name))
  const added = Buffer.alloc(8)
  added.writeUInt32LE(low)
  added.writeUInt32LE(high, 4)
  return { added }
}

test('who is not known not to have a path may have it', async () => {
  const { asked, filters, connect } = world()
  await connect('a')
  expect(filters.mayHave('a', noise(20, 'x'))).toBe(true)
  expect(filters.mayHave('stranger', noise(20, 'x'))).toBe(true)
  asked[0]!.says(...snapshotOf(filterOf(asked[0]!, 'x')))
  expect(filters.has('a')).toBe(true)
  expect(filters.mayHave('a', noise(20, 'x'))).toBe(true)
  expect(filters.mayHave('a', noise(20, 'y'))).toBe(false)
})

test('each request has a key of its own', async () => {
  const { asked, connect, clock } = world()
  await connect('a', 'b')
  asked[0]!.ends()
  await settled()
  await clock.pass(RETRY_MS)
  const keys = asked.map(({ key }) => Buffer.from(key).toString('hex'))
  expect(keys).toHaveLength(3)
  expect(new Set(keys).size).toBe(3)
  expect(asked.every(({ key }) => key.length === 16)).toBe(true)
})

test('what came since a moment is told, and only that', async () => {
  const { asked, filters, connect, clock } = world()
  await connect('a')
  asked[0]!.says(...snapshotOf(filterOf(asked[0]!, 'x')))
  await clock.pass(1000)
  expect(filters.hasNews(noise(20, 'x'), 0)).toBe(true)
  expect(filters.hasNews(noise(20, 'x'), 500)).toBe(false)
  asked[0]!.says({})
  expect(filters.hasNews(noise(20, 'x'), 500)).toBe(false)
  asked[0]!.says(addedOf(asked[0]!, 'y'))
  expect(filters.hasNews(noise(20, 'y'), 500)).toBe(true)
  expect(filters.hasNews(noise(20, 'z'), 500)).toBe(false)
})

test.each<[string, unknown]>([
  ['ends it', undefined],
  ['does not know filters', peerError({ code: 'refused', peer: 'a', reason: 'not understood' })],
  ['says nothing any more', peerError({ code: 'stalled', peer: 'a' })],
])(
  'a peer that %s is asked as before, and then asked for a filter less and less',
  async (_, error) => {
    const { asked, filters, connect, clock } = world()
    await connect('a')
    asked[0]!.says(...snapshotOf(filterOf(asked[0]!)))
    expect(filters.mayHave('a', noise(20))).toBe(false)
    asked[0]!.ends(error)
    await settled()
    expect(filters.has('a')).toBe(false)
    expect(filters.mayHave('a', noise(20))).toBe(true)
    expect(filters.bytes).toBe(0)
    await clock.pass(RETRY_MS)
    expect(asked).toHaveLength(2)
    asked[1]!.ends(error)
    await settled()
    await clock.pass(RETRY_MS)
    expect(asked).toHaveLength(2)
    await clock.pass(RETRY_MS)
    expect(asked).toHaveLength(3)
  },
)

test('a peer that has gone is forgotten, and asked at once when it comes again', async () => {
  const { asked, here, filters, connect, clock } = world()
  await connect('a')
  here.delete('a')
  asked[0]!.ends(peerError({ code: 'unreachable', peer: 'a' }))
  await settled()
  await connect('a')
  expect(asked).toHaveLength(2)
  here.delete('a')
  asked[1]!.ends(peerError({ code: 'unreachable', peer: 'a' }))
  await settled()
  await clock.pass(RETRY_MS_MAX)
  expect(asked).toHaveLength(2)
  await filters.stop()
})

describe('hostile peers', () => {
  test.each<[string, FilterNews[]]>([
    ['tells parts of nothing', [{ bits: noise(10) }]],
    ['tells more than it said', [{ snapshotBytes: FILTER_BYTES_MIN, bits: noise(20_000) }]],
    ['tells half a hash', [...snapshotOf(new Uint8Array(FILTER_BYTES_MIN)), { added: noise(7) }]],
  ])('one that %s breaks the protocol', async (_, news) => {
    const { asked, connect } = world()
    await connect('a')
    asked[0]!.says(...news)
    const error = await asked[0]!.outcome
    expect(error).toBeInstanceOf(PeerError)
    expect((error as PeerError).fault.code).toBe('protocol-broken')
  })

  test('one that answers something else does, too', async () => {
    const { asked, connect } = world()
    await connect('a')
    asked[0]!.answers({ type: 'directories', encoded: [] })
    expect((await asked[0]!.outcome) as PeerError).toMatchObject({
      fault: { code: 'protocol-broken' },
    })
  })

  test.each<[string, FilterNews[]]>([
    ['has everything', snapshotOf(new Uint8Array(FILTER_BYTES_MIN).fill(0xff))],
    ['has too large a filter', [{ snapshotBytes: FILTER_BYTES_MAX + 1 }]],
    ['says something all the time', Array.from({ length: NEWS_BURST + 1 }, () => ({}))],
  ])('one that %s is asked as before, and not for a filter again', async (_, news) => {
    const { asked, filters, connect, clock } = world()
    await connect('a')
    asked[0]!.says(...news)
    expect(await asked[0]!.outcome).not.toBeInstanceOf(PeerError)
    await settled()
    expect(filters.bytes).toBe(0)
    expect(filters.mayHave('a', noise(20))).toBe(true)
    await clock.pass(RETRY_MS_MAX - 1)
    expect(asked).toHaveLength(1)
  })

  test('many of them take no more than so much memory', async () => {
    const { asked, filters, connect } = world()
    const peers = Array.from({ length: FILTERS_MAX + 10 }, (_, i) => `${i}`)
    await connect(...peers)
    expect(asked).toHaveLength(FILTERS_MAX)
    for (const it of asked) it.says({ snapshotBytes: FILTER_BYTES_MAX })
    expect(filters.bytes).toBeLessThanOrEqual(FILTERS_BYTES_MAX)
    await settled()
    expect(filters.bytes).toBeGreaterThan(FILTERS_BYTES_MAX / 2)
  })
})
