import { expect, test } from 'vitest'
import type { Call } from '../../../src/foundation/call.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import type { AnswerItem } from '../../../src/peers/exchange/exchange-session.ts'
import { FILTER_BYTES_MIN } from '../../../src/peers/filters/bloom-filter.ts'
import { FilterServing } from '../../../src/peers/filters/filter-serving.ts'
import { until } from '../../fixtures/await-peers.ts'
import type { Misbehaviour } from '../../fixtures/bad-peers.ts'
import { misbehave } from '../../fixtures/bad-peers.ts'
import { call, noise } from '../../fixtures/content.ts'
import {
  connected,
  type PeerNode,
  type PeerNodeInit,
  peerNode,
  storePath,
  takeIn,
} from '../../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'

const nar = (seed: string) => inPieces(narOf(directory({ file: file(seed) })), [100_000])

const hashOf = (name: string): Uint8Array => storePath(name).hash

/** Two nodes that know of each other what they share. */
async function neighbours(init: PeerNodeInit = {}): Promise<[PeerNode, PeerNode]> {
  const holder = await peerNode(init)
  const asker = await peerNode({ bootstrap: [holder] })
  await connected(holder, asker)
  await until(() => asker.filters.has(holder.host.id) && holder.filters.has(asker.host.id))
  return [holder, asker]
}

/** What the asker exchanges with the holder while it asks for so many paths that nobody has. */
async function bytesOfMisses(asker: PeerNode, holder: PeerNode, count: number): Promise<number> {
  const sum = (): number => {
    const { received, sent } = asker.host.traffic.of(holder.host.id)
    return received + sent
  }
  const before = sum()
  const asked = Array.from({ length: count }, (_, i) =>
    asker.substituter.describe(Uint8Array.from(noise(20, `unknown ${i}`)), call),
  )
  expect((await Promise.all(asked)).every((it) => it === undefined)).toBe(true)
  return sum() - before
}

/** A filter as a peer gets it that asks for one, and the answers that it comes by. */
async function filterAsked(asker: PeerNode, holder: PeerNode): Promise<AnswerItem[]> {
  const answers: AnswerItem[] = []
  const over = new AbortController()
  const request: Call = { signal: over.signal }
  const want = { type: 'filter', key: noise(16) } as const
  const onAnswer = (answer: AnswerItem): void => void answers.push(answer)
  const ask = { want, bytes: 0, lasts: true, onAnswer }
  await Promise.race([
    asker.client.ask(holder.host.id, ask, request),
    until(() => answers.length > 1),
  ])
  over.abort()
  return answers
}

test('a path that no neighbour has costs no question, and one that one has is found', async () => {
  const [holder, asker] = await neighbours()
  await using _nodes = both(holder, asker)
  await takeIn(holder, 'held', nar('held'))
  expect(await bytesOfMisses(asker, holder, 500)).toBe(0)
  expect((await asker.substituter.describe(hashOf('held'), call))?.narSize).toBeGreaterThan(0)
  expect(await asker.substituter.obtain(hashOf('held'), call)).toBeDefined()
})

test('the DHT is not searched where its servers are neighbours with filters', async () => {
  const [holder, asker] = await neighbours()
  await using _nodes = both(holder, asker)
  await until(() => asker.router.reach === 1)
  expect([...asker.router.servers]).toEqual([holder.host.id])
  const searched: Uint8Array[] = []
  const holders = asker.router.holders.bind(asker.router)
  asker.router.holders = (key, request) => {
    searched.push(key)
    return holders(key, request)
  }
  await bytesOfMisses(asker, holder, 20)
  expect(searched).toHaveLength(0)
  await asker.filters.stop()
  await until(() => !asker.filters.has(holder.host.id))
  expect(await asker.substituter.describe(hashOf('other'), call)).toBeUndefined()
  expect(searched).toHaveLength(1)
})

test('a path that is put after it was missed is found at once', async () => {
  const [holder, asker] = await neighbours()
  await using _nodes = both(holder, asker)
  expect(await asker.substituter.describe(hashOf('late'), call)).toBeUndefined()
  await takeIn(holder, 'late', nar('late'))
  expect(await asker.substituter.describe(hashOf('late'), call)).toBeDefined()
})

test('a path that is shared later is found, and one that is taken back is not', async () => {
  const [holder, asker] = await neighbours({ secretKey: undefined, share: { mode: 'none' } })
  await using _nodes = both(holder, asker)
  const { storePath: own } = await takeIn(holder, 'own', nar('own'))
  const mayHave = (): boolean => asker.filters.mayHave(holder.host.id, own.hash)
  expect(mayHave()).toBe(false)
  expect(await asker.source.find(own.hash, call).next()).toMatchObject({ done: true })
  await holder.sharing.choose([own], true, call)
  await until(mayHave)
  const { value: offer } = await asker.source.find(own.hash, call).next()
  expect(offer?.claim.pathInfo.storePath.hashText).toBe(own.hashText)
  await holder.sharing.choose([own], false, call)
  await until(() => !holder.paths.has(own.hash))
  expect(await asker.source.find(own.hash, call).next()).toMatchObject({ done: true })
})

test('a filter tells nothing of private paths', async () => {
  const [holder, asker] = await neighbours({ secretKey: undefined })
  await using _nodes = both(holder, asker)
  const names = Array.from({ length: 300 }, (_, i) => `private-${i}`)
  for (const name of names) await takeIn(holder, name, nar('the same'))
  expect(holder.paths.size).toBe(0)
  const { id } = holder.host
  expect(names.filter((name) => asker.filters.mayHave(id, hashOf(name)))).toEqual([])
  const serving = new FilterServing({ paths: holder.paths, clock: systemClock })
  const news = serving.watch('somebody', noise(16), call)
  expect((await news.next()).value).toEqual({ snapshotBytes: FILTER_BYTES_MIN })
  const { value: part } = await news.next()
  expect(part?.bits?.length).toBe(FILTER_BYTES_MIN)
  expect(part?.bits?.every((byte: number) => byte === 0)).toBe(true)
  await news.return(undefined)
})

test('a second filter on one channel is absent', async () => {
  const [holder, asker] = await neighbours()
  await using _nodes = both(holder, asker)
  expect(await filterAsked(asker, holder)).toEqual([{ type: 'absent', indices: [0] }])
})

test('a filter goes with its peer', async () => {
  const [holder, asker] = await neighbours()
  await using _asker = asker
  expect(asker.filters.bytes).toBeGreaterThan(0)
  const { id } = holder.host
  await holder[Symbol.asyncDispose]()
  await until(() => !asker.filters.has(id))
  expect(asker.filters.bytes).toBe(0)
})

test('a peer that does not know filters is asked for each path', async () => {
  await using holder = await peerNode()
  misbehave(holder, () => knowsNoFilters)
  await using asker = await peerNode({ bootstrap: [holder] })
  await connected(holder, asker)
  await takeIn(holder, 'held', nar('held'))
  expect(asker.filters.has(holder.host.id)).toBe(false)
  expect(asker.ledger.standing(holder.host.id)).toBe('welcome')
  expect(await bytesOfMisses(asker, holder, 10)).toBeGreaterThan(10 * 20)
  expect(await asker.substituter.obtain(hashOf('held'), call)).toBeDefined()
})

const knowsNoFilters: Misbehaviour = (answer) => {
  if (answer.type !== 'filter') return [answer]
  const isFirst = answer.news.snapshotBytes !== undefined
  return isFirst ? [{ type: 'refused', reason: 'not understood' }] : []
}

function both(a: PeerNode, b: PeerNode): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]()
      await a[Symbol.asyncDispose]()
    },
  }
}
