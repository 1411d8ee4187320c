import { expect, test } from 'vitest'
import { Digest } from '../../../src/foundation/digest.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { SecretKey } from '../../../src/nix/key.ts'
import type { PullNews } from '../../../src/peers/pulls/pull-news.ts'
import { FetchProgress } from '../../../src/substitution/fetch-progress.ts'
import { until } from '../../fixtures/await-peers.ts'
import { misbehave } from '../../fixtures/bad-peers.ts'
import { call, noise } from '../../fixtures/content.ts'
import { connected, type PeerNode, type PeerNodeInit, peerNode } from '../../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'
import { ThinCache } from './thin-cache.ts'

const BIG = narOf(
  directory({ a: file(noise(3_000_000, 'a')), b: file(noise(900, 'b')), c: file(noise(3e6, 'c')) }),
)

/** So many nodes, each connected with each. */
async function fleet(count: number, init: PeerNodeInit = {}) {
  const nodes: PeerNode[] = []
  for (let i = 0; i < count; i++) nodes.push(await peerNode({ ...init, bootstrap: nodes.slice() }))
  for (const a of nodes) for (const b of nodes) if (a !== b) await connected(a, b)
  return {
    nodes,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()))
    },
  }
}

const has = async (node: PeerNode, cache: ThinCache): Promise<boolean> =>
  (await node.pathInfos.get(cache.facts.storePath.hash, call)) !== undefined

test('two that want the same path at once pull it once, and both have it', async () => {
  await using world = await fleet(2)
  const cache = new ThinCache({ name: 'same', nar: BIG })
  await Promise.all(world.nodes.map((node) => cache.want(node)))
  expect(cache.whole).toBe(1)
  expect(cache.copies).toBeLessThan(1.5)
  for (const node of world.nodes) expect(await has(node, cache)).toBe(true)
})

test('what is pulled comes to who waits while it is still being pulled', async () => {
  await using world = await fleet(2)
  const cache = new ThinCache({ name: 'live', nar: BIG, pieceMs: 1 })
  cache.heldAt = 5_500_000
  const done = Promise.all(world.nodes.map((node) => cache.want(node)))
  await until(() => cache.pulls.length === 1)
  const puller = cache.pulls[0]!.node
  const follower = world.nodes.find((node) => node !== puller)!
  const chunkBytes = () => follower.records.totals('chunk').bytes
  await until(() => chunkBytes() > 4_000_000)
  expect(await has(puller, cache)).toBe(false)
  cache.heldAt = Number.POSITIVE_INFINITY
  await done
  expect(cache.whole).toBe(1)
})

test('six that want it share the work of giving it on', async () => {
  await using world = await fleet(6)
  const cache = new ThinCache({ name: 'six', nar: BIG, pieceMs: 15 })
  await Promise.all(world.nodes.map((node) => cache.want(node)))
  expect(cache.whole).toBe(1)
  expect(cache.copies).toBeLessThan(2)
  const given = Math.max(...world.nodes.map(({ server }) => server.bytesServed))
  // Alone the one that pulled would have given five copies.
  expect(given / BIG.length).toBeLessThan(3)
}, 60_000)

test('where who pulls goes away midway another takes over, and what came is kept', async () => {
  await using world = await fleet(3)
  const cache = new ThinCache({ name: 'death', nar: BIG, pieceMs: 1 })
  cache.heldAt = 3_000_000
  const life = new AbortController()
  const wanting = world.nodes.map((node) => cache.want(node, { signal: life.signal }))
  for (const it of wanting) it.catch(() => undefined) // looked at below
  await until(() => cache.pulls.length === 1)
  const puller = cache.pulls[0]!.node
  const others = world.nodes.filter((node) => node !== puller)
  const held = (node: PeerNode) => node.records.totals('chunk').bytes
  await until(() => others.every((node) => held(node) > 1_500_000))
  cache.heldAt = Number.POSITIVE_INFINITY
  await puller.host.stop()
  await until(async () => (await Promise.all(others.map((it) => has(it, cache)))).every(Boolean))
  life.abort(new Error('the test is over'))
  await Promise.allSettled(wanting)
  const takenOver = cache.pulls.filter(({ node }) => node !== puller)
  expect(takenOver).toHaveLength(1)
}, 30_000)

test('of two that pull before they know each other one yields', async () => {
  await using a = await peerNode()
  await using b = await peerNode()
  const cache = new ThinCache({ name: 'strangers', nar: BIG, pieceMs: 1 })
  cache.heldAt = 1_000_000
  const wanting = Promise.all([cache.want(a), cache.want(b)])
  await until(() => cache.pulls.length === 2)
  await b.host.connect({ id: a.host.id, addresses: a.host.addresses }, call)
  await until(() => cache.yielded === 1)
  cache.heldAt = Number.POSITIVE_INFINITY
  await wanting
  expect(cache.whole).toBe(1)
}, 30_000)

test('a path that is not shared is pulled by each for itself, and nobody hears of it', async () => {
  const stranger = SecretKey.generate('stranger-1')
  await using world = await fleet(2)
  const cache = new ThinCache({ name: 'private', nar: narOf(file('x')), key: stranger })
  const [a, b] = world.nodes
  const asked: string[] = []
  const watch = b!.pulls.watch.bind(b!.pulls)
  b!.pulls.watch = (peer, name, its) => {
    asked.push(name.hex)
    return watch(peer, name, its)
  }
  using one = await a!.pulls.turn(cache.facts, a!.castore, new FetchProgress(), call)
  using two = await b!.pulls.turn(cache.facts, b!.castore, new FetchProgress(), call)
  expect(one).toBeDefined()
  expect(two).toBeDefined()
  expect(asked).toEqual([])
})

test('with a neighbour of an earlier version each pulls for itself, as before', async () => {
  await using old = await peerNode({ knowsPulls: false })
  await using node = await peerNode({ bootstrap: [old] })
  await connected(old, node)
  const cache = new ThinCache({ name: 'old', nar: BIG, pieceMs: 1 })
  await cache.want(node)
  expect(cache.pulls.map((it) => it.node)).toEqual([node])
  expect(node.ledger.standing(old.host.id)).toBe('welcome')
})

/** A node that holds the right to pull, and says of that what `tell` makes of it. */
async function liar(cache: ThinCache, tell: (news: PullNews) => PullNews) {
  const node = await peerNode()
  misbehave(node, () => (answer) => {
    if (answer.type !== 'pull') return [answer]
    return [{ type: 'pull', news: tell(answer.news) }]
  })
  const turn = await node.pulls.turn(cache.facts, node.castore, new FetchProgress(), call)
  expect(turn).toBeDefined()
  const honest = await peerNode({ bootstrap: [node] })
  await connected(node, honest)
  return {
    ...{ node, honest, pull: turn! },
    [Symbol.asyncDispose]: async () => {
      turn![Symbol.dispose]()
      await honest[Symbol.asyncDispose]()
      await node[Symbol.asyncDispose]()
    },
  }
}

const invented = (size: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ digest: Digest.of(noise(32, `no ${i}`)), size }))

test('who tells of more than the NAR has is banned, and the path pulled without it', async () => {
  const cache = new ThinCache({ name: 'too-much', nar: BIG, pieceMs: 1 })
  const lie = (news: PullNews) => ({ ...news, chunks: invented(1_000_000, 7) })
  await using world = await liar(cache, lie)
  await cache.want(world.honest)
  expect(cache.whole).toBe(1)
  expect(world.honest.ledger.standing(world.node.host.id)).toBe('banned')
})

test('who says that it has a path and has not is asked once, and then not waited for', async () => {
  const cache = new ThinCache({ name: 'not-there', nar: BIG, pieceMs: 1 })
  await using world = await liar(cache, (news) => ({ ...news, phase: 'complete' }))
  await cache.want(world.honest)
  expect(cache.pulls.map(({ node }) => node)).toEqual([world.honest])
})

test('who told of chunks that do not occur in the path is banned once that is proven', async () => {
  const cache = new ThinCache({ name: 'garbage', nar: BIG, pieceMs: 1 })
  const lie = (news: PullNews) => ({ ...news, run: 7, chunks: invented(900_000, 3) })
  let isTold = false
  await using world = await liar(cache, (news) => {
    if (isTold) return { ...news, run: 7, chunks: [] }
    isTold = true
    return lie(news)
  })
  const wanting = cache.want(world.honest)
  const ingested = await ingestNar(inPieces(BIG, [65_536]), world.node.castore, call)
  const fields = { storePath: cache.facts.storePath, references: [], ...ingested }
  await world.node.intake.take(fields, call)
  world.pull.complete()
  await wanting
  await until(() => world.honest.ledger.standing(world.node.host.id) === 'banned')
  expect(cache.pulls).toEqual([])
  expect(await has(world.honest, cache)).toBe(true)
})

test('who is told of a chunk that it has from a private path does not give it on', async () => {
  const cache = new ThinCache({ name: 'probe', nar: BIG, pieceMs: 1 })
  const secret = noise(40_000, 'secret')
  const digest = Digest.ofContent(secret)
  const chunks = [{ digest, size: secret.length }, ...invented(300_000, 2)]
  let isTold = false
  await using world = await liar(cache, (news) => {
    const told = isTold ? [] : chunks
    isTold = true
    return { ...news, chunks: told }
  })
  const { honest, node } = world
  await honest.castore.blobs.putSmall([secret], call)
  const life = new AbortController()
  const wanting = cache.want(honest, life)
  wanting.catch(() => undefined) // taken back below
  const answers: string[] = []
  await until(() => isTold)
  for (let i = 0; i < 20; i++) {
    const want = { type: 'chunks', digests: [digest] } as const
    const onAnswer = (answer: { type: string }): void => void answers.push(answer.type)
    await node.client.ask(honest.host.id, { want, bytes: 0, onAnswer }, call)
  }
  life.abort(new Error('the test is over'))
  await wanting.catch(() => undefined)
  expect(new Set(answers)).toEqual(new Set(['absent']))
})
