import { expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
import { contentBelow } from '../../src/castore/content-below.ts'
import type { Node } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import type { Call } from '../../src/foundation/call.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import { PathInfo } from '../../src/pathinfo/path-info.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import type {
  NarOffer,
  OfferFlaw,
  PathSource,
  RootListener,
  RootOffer,
} from '../../src/substitution/path-source.ts'
import type { PullSharing } from '../../src/substitution/pull-sharing.ts'
import { ROOT_BYTES_PER_SECOND_MIN, ROOT_STALL_MS } from '../../src/substitution/root-fetch.ts'
import { ROOT_FIND_MS, ROOT_REST_MS, SourceWatch } from '../../src/substitution/source-watch.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { until } from '../fixtures/await-peers.ts'
import { KEYS, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { manualClock, outcomeOf, settled } from '../foundation/manual-clock.ts'
import { directory, file, inPieces, narOf, symlink, type Tree } from '../nar/trees.ts'

const LARGE = noise(3_000_000, 'large')
const TREE = directory({ a: file('content'), sub: directory({ large: file(LARGE) }) })
/** Of a NAR that is as long. */
const TROJAN = directory({ a: file('trojan!'), sub: directory({ large: file(LARGE) }) })

function fresh(): Castore {
  return recordCastore({ records: new MemoryRecordStore() })
}

async function held(tree: Tree, castore = fresh()) {
  const ingested = await ingestNar(inPieces(narOf(tree), [1 << 16]), castore, call)
  return { ...ingested, castore }
}

/** What a cache says of a path with that tree, and which root it names. */
async function cacheOffer(tree: Tree, root: Node | undefined) {
  const storePath = pathNamed('wanted')
  const { node, narSize, narSha256 } = await held(tree)
  const plain = new PathInfo({ storePath, references: [], node, narSize, narSha256 })
  const { signatures } = new Signer({ key: KEYS.a }).sign(plain)
  const flaws: OfferFlaw[] = []
  const seen = { nars: 0 }
  const offer: NarOffer = {
    kind: 'nar',
    facts: new PathFacts({ storePath, references: [], narSize, narSha256, signatures }),
    keys: [],
    isShared: true,
    root,
    async *nar() {
      seen.nars++
      yield* inPieces(narOf(tree), [1 << 16])
    },
    turnDown: (flaw) => flaws.push(flaw),
  }
  return { offer, flaws, seen }
}

/** Has one root, and brings it from a castore, in whatever way a test likes. */
class Holder implements PathSource {
  readonly name: string
  readonly priority = 50
  readonly limitMs = 1_000
  asked = 0
  fetches = 0
  wasAccepted = false
  readonly #work: (into: Castore, listener: RootListener, call: Call) => Promise<void>
  answer: (call: Call) => Promise<boolean> = async () => true

  constructor(
    work: (into: Castore, listener: RootListener, call: Call) => Promise<void>,
    name = 'holder',
  ) {
    this.name = name
    this.#work = work
  }

  async *find() {}

  async findRoot(_root: Node, _narSize: number, asked: Call): Promise<RootOffer | undefined> {
    this.asked++
    if (!(await this.answer(asked))) return undefined
    return {
      fetch: async (into, listener, during) => {
        this.fetches++
        await this.#work(into, listener, during)
        this.wasAccepted = true
      },
    }
  }
}

/** Has a tree, all of it. */
async function holderOf(tree: Tree, name?: string): Promise<Holder> {
  const { castore, node } = await held(tree)
  return new Holder(async (into, listener) => {
    const { directories } = await contentBelow(node, castore, call)
    await listener.onDirectories(directories)
    listener.progress.bytesFetched += 100
    await held(tree, into)
  }, name)
}

function world(offers: readonly NarOffer[], holders: readonly Holder[], pulls?: PullSharing) {
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const clock = manualClock()
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const cache: PathSource = {
    name: 'cache',
    priority: 1,
    limitMs: 1_000,
    async *find(hash) {
      yield* offers.filter(({ facts }) => Buffer.compare(facts.storePath.hash, hash) === 0)
    },
  }
  const log = silentLog
  const sources = [cache, ...holders].map((source) => new SourceWatch({ source, clock, log }))
  const pathInfos = new RecordPathInfoStore({ records })
  const components = { castore, pathInfos, trust, sources, clock, log }
  const substituter = new Substituter({ ...components, ...(pulls && { pulls }) })
  const obtain = (by: Call = call) => substituter.obtain(pathNamed('wanted').hash, by)
  return { castore, clock, obtain }
}

const { node: root } = await held(TREE)
const { node: trojan } = await held(TROJAN)

test('what is below the root comes from who has it, and the NAR is left', async () => {
  const cache = await cacheOffer(TREE, root)
  const holder = await holderOf(TREE)
  const { obtain } = world([cache.offer], [holder])
  expect((await obtain())?.node).toEqual(root)
  expect([holder.fetches, cache.seen.nars]).toEqual([1, 0])
  expect(cache.flaws).toEqual([])
})

test.each([
  ['a tree', TREE],
  ['a file', file(LARGE)],
  ['a symlink', symlink('/nix/store/elsewhere')],
])('%s that is here already is asked of nobody', async (_, tree) => {
  const { node } = await held(tree)
  const cache = await cacheOffer(tree, node)
  const holder = await holderOf(tree)
  const { castore, obtain } = world([cache.offer], [holder])
  await held(tree, castore)
  expect((await obtain())?.node).toEqual(node)
  expect([holder.asked, cache.seen.nars]).toEqual([0, 0])
})

test('the root comes before any turn to pull the NAR', async () => {
  let turns = 0
  const pulls: PullSharing = {
    turn: async () => {
      turns++
      throw new Error('it is nobody’s turn')
    },
  }
  const cache = await cacheOffer(TREE, root)
  expect(await world([cache.offer], [await holderOf(TREE)], pulls).obtain()).toBeDefined()
  expect(turns).toBe(0)
  await expect(world([cache.offer], [], pulls).obtain()).rejects.toThrow()
  expect(turns).toBe(1)
})

test('content of another hash is the fault of the cache, whose NAR still may be right', async () => {
  for (const isHere of [true, false]) {
    const cache = await cacheOffer(TREE, trojan)
    const { castore, obtain } = world([cache.offer], isHere ? [] : [await holderOf(TROJAN)])
    if (isHere) await held(TROJAN, castore)
    expect((await obtain())?.node).toEqual(root)
    expect(cache.flaws).toEqual(['false-root'])
    expect(cache.seen.nars).toBe(1)
  }
})

test('a root of a NAR of another length is refused before its blobs come', async () => {
  const other = directory({ a: file('longer content') })
  const { node } = await held(other)
  for (const isHere of [true, false]) {
    const cache = await cacheOffer(TREE, node)
    const holder = await holderOf(other)
    const { castore, obtain } = world([cache.offer], [holder])
    if (isHere) await held(other, castore)
    expect((await obtain())?.node).toEqual(root)
    expect(cache.flaws).toEqual(['false-root'])
    expect(holder.wasAccepted).toBe(false)
  }
})

test('a root that is wrong about its size alone is found out, too', async () => {
  const cache = await cacheOffer(TREE, Object.assign(Object.create(root), { size: 99 }))
  const { obtain } = world([cache.offer], [await holderOf(TREE)])
  expect((await obtain())?.node).toEqual(root)
  expect(cache.flaws).toEqual(['false-root'])
})

test('where nobody has the root, or does not bring it, the NAR is taken', async () => {
  const nobody = await holderOf(TREE)
  nobody.answer = async () => false
  const confused = await holderOf(TREE)
  confused.answer = async () => {
    throw new Error('the cable is cut')
  }
  const failing = new Holder(async () => {
    throw new Error('the cable is cut')
  })
  const forgetful = new Holder(async () => undefined)
  for (const holders of [[], [nobody], [confused], [failing], [forgetful]]) {
    const cache = await cacheOffer(TREE, root)
    expect((await world([cache.offer], holders).obtain())?.node).toEqual(root)
    expect(cache.seen.nars).toBe(1)
    expect(cache.flaws).toEqual([]) // it is nobody's fault
  }
})

test('where one does not bring it, another one may', async () => {
  const failing = new Holder(async () => {
    throw new Error('the cable is cut')
  }, 'failing')
  const good = await holderOf(TREE, 'good')
  const cache = await cacheOffer(TREE, root)
  expect(await world([cache.offer], [failing, good]).obtain()).toBeDefined()
  expect([failing.fetches, good.fetches, cache.seen.nars]).toEqual([1, 1, 0])
})

test('who does not say in time is not waited for', async () => {
  const silent = await holderOf(TREE)
  silent.answer = ({ signal }) => unlessAborted(new Promise<boolean>(() => undefined), signal)
  const cache = await cacheOffer(TREE, root)
  const { clock, obtain } = world([cache.offer], [silent])
  const obtaining = obtain()
  await until(() => silent.asked === 1)
  await clock.pass(ROOT_FIND_MS)
  expect((await obtaining)?.node).toEqual(root)
  expect([silent.asked, silent.fetches, cache.seen.nars]).toEqual([1, 0, 1])
})

test('a source that was too slow rests from roots, and is then asked again', async () => {
  const { clock, watch, source } = await slowSource()
  const asked = watch.findRoot(root, 1, call)
  await settled()
  await clock.pass(ROOT_FIND_MS)
  expect(await asked).toBeUndefined()
  await clock.pass(ROOT_REST_MS - 1)
  expect(await watch.findRoot(root, 1, call)).toBeUndefined()
  expect(source.asked).toBe(1)
  source.answer = async () => true
  await clock.pass(1)
  expect(await watch.findRoot(root, 1, call)).toBeDefined()
  expect(watch.report.faults).toBe(0) // of paths it may know all
})

async function slowSource() {
  const source = await holderOf(TREE)
  source.answer = ({ signal }) => unlessAborted(new Promise<boolean>(() => undefined), signal)
  const clock = manualClock()
  return { clock, source, watch: new SourceWatch({ source, clock, log: silentLog }) }
}

/** One that has more time than that in which nothing may come: a little more than 8 s. */
const PATIENT = file(noise(8 * ROOT_BYTES_PER_SECOND_MIN, 'large'))

test('what does not come on is given up for the NAR', async () => {
  const { node, narSize } = await held(PATIENT)
  expect((1000 * narSize) / ROOT_BYTES_PER_SECOND_MIN).toBeGreaterThan(ROOT_STALL_MS)
  const stalled = new Holder(async (_into, _listener, { signal }) => {
    await unlessAborted(new Promise(() => undefined), signal)
  })
  const cache = await cacheOffer(PATIENT, node)
  const { clock, obtain } = world([cache.offer], [stalled])
  const obtaining = obtain()
  await until(() => stalled.fetches === 1)
  await clock.pass(ROOT_STALL_MS - 1)
  expect(await outcomeOf(obtaining)).toBe('pending')
  expect(cache.seen.nars).toBe(0)
  await clock.pass(1)
  expect((await obtaining)?.node).toEqual(node)
  expect(cache.seen.nars).toBe(1)
})

/** Has a world's clock pass second by second while a holder brings something in each of them. */
async function slowly(
  missing: number,
  onSecond: (second: number, listener: RootListener, into: Castore) => Promise<'more' | 'done'>,
) {
  const { node, narSize } = await held(PATIENT)
  let seconds = 0
  const slow = new Holder(async (into, listener, during) => {
    listener.progress.bytesTotal = narSize
    listener.progress.bytesDone = narSize - missing
    do await it.clock.sleep(1_000, during)
    while ((await onSecond(++seconds, listener, into)) === 'more')
  })
  const cache = await cacheOffer(PATIENT, node)
  const it = world([cache.offer], [slow])
  let isOver = false
  const obtaining = it.obtain().finally(() => {
    isOver = true
  })
  await until(() => slow.fetches === 1)
  while (!isOver && cache.seen.nars === 0 && seconds < 20) {
    await it.clock.pass(1_000)
    await until(() => isOver || cache.seen.nars > 0 || it.clock.sleepers > 1)
  }
  expect((await obtaining)?.node).toEqual(node)
  return { seconds, nars: cache.seen.nars }
}

test('what would not be here in time is, too, as soon as that is seen', async () => {
  const { seconds, nars } = await slowly(10_000, async (_, { progress }) => {
    progress.bytesFetched += 100
    progress.bytesDone += 100
    return 'more'
  })
  expect(nars).toBe(1)
  expect(seconds).toBeLessThanOrEqual(ROOT_STALL_MS / 1_000)
})

test('and what only seems to come on, when its time is over', async () => {
  const { seconds, nars } = await slowly(10, async (_, { progress }) => {
    progress.bytesFetched += 100
    return 'more'
  })
  expect(nars).toBe(1)
  expect([8, 9]).toContain(seconds)
})

test('where little is missing it may come slowly', async () => {
  const { seconds, nars } = await slowly(10, async (second, { progress }, into) => {
    if (second <= 5) progress.bytesFetched += 2
    if (second <= 5) progress.bytesDone += 2
    if (second < 7) return 'more'
    await held(PATIENT, into)
    return 'done'
  })
  expect([seconds, nars]).toEqual([7, 0])
})

test('whoever leaves ends it all', async () => {
  const gone = Promise.withResolvers<void>()
  const hanging = new Holder(async (_into, _listener, { signal }) => {
    signal.addEventListener('abort', () => gone.resolve())
    await unlessAborted(new Promise(() => undefined), signal)
  })
  const cache = await cacheOffer(TREE, root)
  const { obtain } = world([cache.offer], [hanging])
  const leave = new AbortController()
  const obtaining = obtain({ signal: leave.signal })
  await until(() => hanging.fetches === 1)
  leave.abort(new Error('gone'))
  await expect(obtaining).rejects.toThrow('gone')
  await gone.promise
  expect(cache.seen.nars).toBe(0)
})
