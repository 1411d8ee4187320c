import { expect, test } from 'vitest'
import { FileNode, type Node } from '../../src/castore/model/node.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { renderNar } from '../../src/nar/render-nar.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { Announcer } from '../../src/peers/announcer.ts'
import { PeerSource, ROOT_SEARCHED_BYTES_MIN } from '../../src/peers/peer-source.ts'
import type { NarOffer, OfferFlaw, PathSource } from '../../src/substitution/path-source.ts'
import { ROOT_STALL_MS } from '../../src/substitution/root-fetch.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { until } from '../fixtures/await-peers.ts'
import * as bad from '../fixtures/bad-peers.ts'
import { KEYS } from '../fixtures/claims.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../fixtures/peer-node.ts'
import { watched } from '../fixtures/watched.ts'
import { directory, file, inPieces, narOf, type Tree } from '../nar/trees.ts'

const MIB = 1024 * 1024

/** Trusts nobody but a cache: what neighbours say of paths is as good as nothing. */
const DISTRUSTFUL = { trustedKeys: [], stallMs: 800 }

function versionOf(name: string): Tree {
  return directory({ large: file(noise(5 * MIB, 'large')), of: directory({ [name]: file(name) }) })
}

/** A cache that names roots, and a node that has that cache and its neighbours. */
function withCache(node: PeerNode, peers: PathSource = node.source) {
  const offers: NarOffer[] = []
  const flaws: OfferFlaw[] = []
  let nars = 0
  const cache: PathSource = {
    name: 'cache',
    priority: 0,
    async *find(hash) {
      yield* offers.filter(({ facts }) => Buffer.compare(facts.storePath.hash, hash) === 0)
    },
  }
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const ports = { clock: systemClock, log: silentLog }
  const sources = watched(cache, peers)
  const substituter = new Substituter({ ...node, ...ports, trust, sources })
  return {
    flaws,
    nars: () => nars,
    /** The cache has what a node took in, perhaps with another root. */
    offer: (pathInfo: PathInfo, nar: Uint8Array, root: Node = pathInfo.node): void => {
      const { signatures } = new Signer({ key: KEYS.a }).sign(pathInfo)
      offers.push({
        kind: 'nar',
        facts: new PathFacts({ ...pathInfo, signatures }),
        keys: [],
        isShared: false,
        root,
        async *nar() {
          nars++
          yield* inPieces(nar, [65_536])
        },
        turnDown: (flaw) => flaws.push(flaw),
      })
    },
    /** The NAR of a path that was obtained. */
    pull: async (name: string): Promise<Buffer> => {
      const pathInfo = await substituter.obtain(storePath(name).hash, call)
      return await allBytes(renderNar(pathInfo!.node, node.castore, call))
    },
  }
}

async function took(node: PeerNode, name: string, tree: Tree) {
  const nar = narOf(tree)
  return { nar, pathInfo: await takeIn(node, name, inPieces(nar, [65_536])) }
}

test('what a cache has comes from a neighbour by its root, and of a next version the rest', async () => {
  await using holder = await peerNode()
  await using asker = await peerNode({ ...DISTRUSTFUL, bootstrap: [holder] })
  await connected(holder, asker)
  const cache = withCache(asker)
  const received = (): number => asker.host.traffic.of(holder.host.id).received
  for (const [name, bytesMax] of [
    ['first', 6 * MIB],
    ['second', 20_000],
  ] as const) {
    const { pathInfo, nar } = await took(holder, name, versionOf(name))
    cache.offer(pathInfo, nar)
    const before = received()
    expect((await cache.pull(name)).equals(nar)).toBe(true)
    expect(received() - before).toBeLessThan(bytesMax)
  }
  expect(cache.nars()).toBe(0)
})

test('a root that is a file comes, too', async () => {
  await using holder = await peerNode()
  await using asker = await peerNode({ ...DISTRUSTFUL, bootstrap: [holder] })
  await connected(holder, asker)
  const cache = withCache(asker)
  const { pathInfo, nar } = await took(holder, 'lone', file(noise(2 * MIB, 'lone'), true))
  cache.offer(pathInfo, nar)
  expect((await cache.pull('lone')).equals(nar)).toBe(true)
  expect(cache.nars()).toBe(0)
})

test('a long one that no neighbour has is found in the DHT', async () => {
  await using bootstrap = await peerNode()
  await using holder = await peerNode({ bootstrap: [bootstrap] })
  await connected(bootstrap, holder)
  const { pathInfo, nar } = await took(holder, 'far', versionOf('far'))
  const announcer = new Announcer(
    { ...holder, clock: systemClock, log: silentLog },
    { mode: 'roots' },
  )
  await using stack = new AsyncDisposableStack()
  await announcer.start()
  stack.defer(() => announcer.stop())
  await until(() => !announcer.progress.isHurried && announcer.progress.waiting === 0)
  const asker = stack.use(await peerNode({ ...DISTRUSTFUL, bootstrap: [bootstrap] }))
  await connected(bootstrap, asker)
  await until(() => asker.router.reach > 0)
  await asker.host.disconnect(holder.host.id) // the two may have met by the DHT
  // Without filters nobody tells that its neighbours are all that there is.
  const { host, router, client, ledger, castore, swarms, patience } = asker
  const fetching = { client, ledger, castore, swarms, random: systemRandom }
  const finding = { network: host, router, asker: asker.asker, patience, self: host.id }
  const ports = { clock: systemClock, log: silentLog }
  const source = new PeerSource({ ...fetching, ...finding, ...ports })
  // A short one is not worth the search.
  expect(await source.findRoot(pathInfo.node, ROOT_SEARCHED_BYTES_MIN - 1, call)).toBeUndefined()
  const cache = withCache(asker, source)
  cache.offer(pathInfo, nar)
  expect((await cache.pull('far')).equals(nar)).toBe(true)
  expect(cache.nars()).toBe(0)
})

test('what a neighbour does not share it does not have', async () => {
  await using holder = await peerNode({ secretKey: undefined })
  await using asker = await peerNode({ ...DISTRUSTFUL, bootstrap: [holder] })
  await connected(holder, asker)
  const cache = withCache(asker)
  const { pathInfo, nar } = await took(holder, 'private', versionOf('private'))
  expect(await asker.source.findRoot(pathInfo.node, nar.length, call)).toBeUndefined()
  cache.offer(pathInfo, nar)
  expect((await cache.pull('private')).equals(nar)).toBe(true)
  expect(cache.nars()).toBe(1)
})

test('a cache that lies about a root has no neighbour banned', async () => {
  await using holder = await peerNode()
  await using asker = await peerNode({ ...DISTRUSTFUL, bootstrap: [holder] })
  await connected(holder, asker)
  const { pathInfo, nar } = await took(holder, 'wanted', versionOf('wanted'))
  const { pathInfo: other } = await took(holder, 'other', versionOf('others'))
  const { digest, size } = await took(holder, 'lone', file(noise(MIB, 'x'))).then(
    ({ pathInfo: { node } }) => node as FileNode,
  )
  for (const root of [other.node, new FileNode(digest, size + 1, false)]) {
    const cache = withCache(asker)
    cache.offer(pathInfo, nar, root)
    expect((await cache.pull('wanted')).equals(nar)).toBe(true)
    await asker.pathInfos.remove([pathInfo.storePath.hash], call)
  }
  // One that fits its NAR's length, too.
  const lone = new FileNode(digest, nar.length - 112 - (nar.length % 8), false)
  expect(await asker.source.findRoot(lone, nar.length, call)).toBeUndefined()
  expect(asker.ledger.standing(holder.host.id)).toBe('welcome')
})

test.each([
  ['flips a byte in chunks', bad.flipsBytes, 'banned'],
  ['forges Directories', bad.forgesDirectories, 'banned'],
  ['sends garbage', bad.sendsGarbage, 'banned'],
  ['turns chunk lists round', bad.turnsLayouts, 'banned'],
  ['goes silent', bad.goesSilent, 'idle'],
  ['stops midway', bad.stopsMidway, 'idle'],
  ['lacks everything', bad.lacksEverything, 'welcome'],
  ['invents chunks', bad.inventsChunks, 'welcome'],
] as const)('where who has the root %s, the NAR comes soon', async (_, make, standing) => {
  await using holder = await peerNode()
  bad.misbehave(holder, () => make())
  await using asker = await peerNode({ ...DISTRUSTFUL, bootstrap: [holder] })
  await connected(holder, asker)
  const cache = withCache(asker)
  const { pathInfo, nar } = await took(holder, 'wanted', versionOf('wanted'))
  cache.offer(pathInfo, nar)
  // Who is idle is not for long.
  const isJudged = until(() => asker.ledger.standing(holder.host.id) === standing)
  const begunMs = performance.now()
  expect((await cache.pull('wanted')).equals(nar)).toBe(true)
  expect(performance.now() - begunMs).toBeLessThan(2 * ROOT_STALL_MS)
  expect(cache.nars()).toBe(1)
  expect(cache.flaws).toEqual([])
  await isJudged
})
