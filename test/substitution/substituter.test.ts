import { describe, expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
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
import type { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import { OFFER_MS } from '../../src/substitution/known-offers.ts'
import { MISS_MS } from '../../src/substitution/miss-memory.ts'
import { OFFER_LOOK_MS, OFFER_STALL_MS } from '../../src/substitution/offer-pace.ts'
import type {
  ContentOffer,
  NarOffer,
  Offer,
  OfferFlaw,
  PathSource,
} from '../../src/substitution/path-source.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { SubstitutionError } from '../../src/substitution/substitution-error.ts'
import { KEYS, pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { watched } from '../fixtures/watched.ts'
import { type ManualClock, manualClock, settled } from '../foundation/manual-clock.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const nar = narOf(directory({ a: file('content') }))
const otherNar = narOf(directory({ b: file('trojan') }))
const { hash } = pathNamed('wanted')

async function taken(bytes: Uint8Array, into = freshCastore()): Promise<PathInfo> {
  const ingested = await ingestNar(inPieces(bytes, [1000]), into, call)
  return new PathInfo({ storePath: pathNamed('wanted'), references: [], ...ingested })
}

function freshCastore(): Castore {
  return recordCastore({ records: new MemoryRecordStore() })
}

const plain = await taken(nar)
const signed = new Signer({ key: KEYS.a }).sign(plain)
const nixSigned = plain.withSignatures(signed.signatures)
const { node: otherNode } = await taken(otherNar)
const trojan = new PathInfo({ ...nixSigned, node: otherNode })

/** An offer that notes what is done to it. */
class FakeOffer implements ContentOffer {
  readonly kind = 'content'
  readonly claim: ContentOffer['claim']
  readonly flaws: OfferFlaw[] = []
  fetches = 0
  delays = 0
  readonly #fetch: (into: Castore, call: Call) => Promise<unknown>

  constructor(
    pathInfo: PathInfo,
    fetch: (into: Castore, call: Call) => Promise<unknown> = (into) => taken(nar, into),
  ) {
    this.claim = { pathInfo, origin: 'stranger' }
    this.#fetch = fetch
  }

  async fetch(into: Castore, _: unknown, fetchCall: Call): Promise<void> {
    this.fetches++
    await this.#fetch(into, fetchCall)
  }

  tooSlow(): boolean {
    this.delays++
    return false
  }

  turnDown(flaw: OfferFlaw): void {
    this.flaws.push(flaw)
  }
}

class FakeSource implements PathSource {
  readonly name: string
  readonly priority = 0
  readonly offers: Offer[]
  finds = 0

  constructor(offers: Offer[], name = 'fake') {
    this.name = name
    this.offers = offers
  }

  async *find(): AsyncGenerator<Offer> {
    this.finds++
    yield* this.offers
  }
}

function world(...offersBySource: Offer[][]) {
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const sources = offersBySource.map((offers, i) => new FakeSource(offers, `fake-${i}`))
  const clock = manualClock()
  const substituter = new Substituter({
    ...{ castore, pathInfos, trust, clock, log: silentLog },
    sources: watched(...sources),
  })
  return { castore, pathInfos, sources, clock, substituter }
}

/** Lets time pass in steps, as whoever looks from time to time needs it. */
async function passes(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += OFFER_LOOK_MS) await clock.pass(OFFER_LOOK_MS)
  await settled()
}

const never = new Promise<void>(() => undefined)

const fails = async (): Promise<never> => {
  throw new Error('the cable is cut')
}

describe('describing', () => {
  test('asks and fetches nothing of what is offered', async () => {
    const offer = new FakeOffer(signed)
    const { substituter, pathInfos, sources } = world([offer])
    expect((await substituter.describe(hash, call))?.narSize).toBe(nar.length)
    expect(offer.fetches).toBe(0)
    expect(pathInfos.count()).toBe(0)
    await substituter.describe(hash, call)
    expect(sources[0]!.finds).toBe(1) // the offer is kept
  })

  test('what nobody has is remembered for a while, and asked for again later', async () => {
    const { substituter, sources, clock } = world([])
    const [source] = sources
    for (let i = 0; i < 3; i++) expect(await substituter.describe(hash, call)).toBeUndefined()
    expect(source!.finds).toBe(1)
    await clock.pass(MISS_MS)
    source!.offers.push(new FakeOffer(signed))
    expect(await substituter.describe(hash, call)).toBeDefined()
  })

  test('a newcomer makes all misses worth another question', async () => {
    const { substituter, sources } = world([])
    await substituter.describe(hash, call)
    sources[0]!.offers.push(new FakeOffer(signed))
    expect(await substituter.describe(hash, call)).toBeUndefined()
    substituter.forgetMisses()
    expect(await substituter.describe(hash, call)).toBeDefined()
  })

  test('what nobody trusted vouches for is as good as nothing', async () => {
    const offer = new FakeOffer(plain)
    const { substituter } = world([offer])
    expect(await substituter.describe(hash, call)).toBeUndefined()
    expect(offer.flaws).toEqual(['untrusted'])
  })

  test('an offer of another path than asked is turned down', async () => {
    const another = new Signer({ key: KEYS.a }).sign(
      new PathInfo({ ...plain, storePath: pathNamed('another') }),
    )
    const offers = [new FakeOffer(another), new FakeOffer(signed)]
    const { substituter } = world(offers)
    expect((await substituter.describe(hash, call))?.storePath.name).toBe('wanted')
    expect(offers[0]!.flaws).toEqual(['forged'])
  })
})

describe('obtaining', () => {
  test('stores the path when its content is there, and then has it', async () => {
    const offer = new FakeOffer(signed)
    const { substituter, pathInfos } = world([offer])
    expect((await substituter.obtain(hash, call))?.narSize).toBe(nar.length)
    expect(pathInfos.count()).toBe(1)
    await substituter.obtain(hash, call)
    await substituter.describe(hash, call)
    expect(offer.fetches).toBe(1)
  })

  test('takes the offer that was described, for as long as it is fresh', async () => {
    const offer = new FakeOffer(signed)
    const { substituter, sources, clock } = world([offer])
    await substituter.describe(hash, call)
    await clock.pass(OFFER_MS - 1)
    await substituter.obtain(hash, call)
    expect(sources[0]!.finds).toBe(1)
  })

  test('what was described by peers who have failed since is tried after all others', async () => {
    const [doubtful, other] = [new FakeOffer(signed, fails), new FakeOffer(nixSigned)]
    const { substituter, sources } = world([doubtful])
    await substituter.describe(hash, call)
    Object.assign(doubtful, { isDoubtful: true })
    sources[0]!.offers.splice(0, 1, other)
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect([doubtful.fetches, other.fetches]).toEqual([0, 1])
  })

  test('but it is tried where nobody else has the path', async () => {
    const doubtful = new FakeOffer(signed)
    const { substituter, sources } = world([doubtful])
    await substituter.describe(hash, call)
    Object.assign(doubtful, { isDoubtful: true })
    sources[0]!.offers.length = 0
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect(doubtful.fetches).toBe(1)
  })

  test('of what is offered at once, doubtful offers come after what other sources have', async () => {
    const [doubtful, other] = [new FakeOffer(signed, fails), new FakeOffer(signed)]
    Object.assign(doubtful, { isDoubtful: true })
    const { substituter } = world([doubtful], [other])
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect([doubtful.fetches, other.fetches]).toEqual([0, 1])
  })

  test('what does not come is left for what another source has, and its own is told', async () => {
    const silent = new FakeOffer(signed, (_, { signal }) => unlessAborted(never, signal))
    const other = new FakeOffer(signed)
    const { substituter, sources, clock } = world([silent], [other])
    const obtained = substituter.obtain(hash, call)
    await settled()
    expect(sources[1]!.finds).toBe(0)
    await passes(clock, OFFER_STALL_MS)
    expect(await obtained).toBeDefined()
    expect([silent.fetches, silent.delays, other.fetches]).toEqual([1, 1, 1])
  })

  test('and comes again, to be waited for, where the others come to nothing', async () => {
    const waits: PromiseWithResolvers<void>[] = []
    const slow = new FakeOffer(signed, async (into, { signal }) => {
      const wait = Promise.withResolvers<void>()
      waits.push(wait)
      await unlessAborted(wait.promise, signal)
      await taken(nar, into)
    })
    const { substituter, clock } = world([slow], [new FakeOffer(signed, fails)])
    const obtained = substituter.obtain(hash, call)
    await settled()
    await passes(clock, OFFER_STALL_MS)
    expect(slow.fetches).toBe(2)
    await passes(clock, 10 * OFFER_STALL_MS)
    expect(slow.fetches).toBe(2)
    waits[1]!.resolve()
    expect(await obtained).toBeDefined()
  })

  test('what does not come is waited for where nobody else has it', async () => {
    const wait = Promise.withResolvers<void>()
    const slow = new FakeOffer(signed, async (into, { signal }) => {
      await unlessAborted(wait.promise, signal)
      await taken(nar, into)
    })
    const { substituter, clock } = world([slow], [])
    const obtained = substituter.obtain(hash, call)
    await settled()
    await passes(clock, 10 * OFFER_STALL_MS)
    wait.resolve()
    expect(await obtained).toBeDefined()
    expect(slow.fetches).toBe(1)
  })

  test('nobody has it: nothing, not an error', async () => {
    const { substituter } = world([], [])
    expect(await substituter.obtain(hash, call)).toBeUndefined()
  })

  test('offers are tried in turn, over all sources', async () => {
    const bad = new FakeOffer(signed, fails)
    const good = new FakeOffer(signed)
    const { substituter, sources } = world([new FakeOffer(plain), bad], [good], [])
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect([bad.fetches, good.fetches]).toEqual([1, 1])
    expect(sources[2]!.finds).toBe(0)
  })

  test('when all offers fail, the error says how each did', async () => {
    const { substituter, pathInfos } = world([new FakeOffer(signed, fails)])
    const error = await substituter.obtain(hash, call).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SubstitutionError)
    const { fault } = error as SubstitutionError & { fault: { code: 'offers-failed' } }
    expect(fault.storePathHash).toBe(pathNamed('wanted').hashText)
    expect(fault.causes.map(String)).toEqual(['Error: the cable is cut'])
    expect(pathInfos.count()).toBe(0)
  })

  test('content that is not what was signed is turned down and not stored', async () => {
    const offer = new FakeOffer(trojan, (into) => taken(otherNar, into))
    const { substituter, pathInfos } = world([offer])
    await expect(substituter.obtain(hash, call)).rejects.toThrow(SubstitutionError)
    expect(offer.flaws).toEqual(['nar-mismatch'])
    expect(pathInfos.count()).toBe(0)
  })

  test('a root that is wrong about its size alone is found out, too', async () => {
    const node = Object.assign(Object.create(plain.node), { size: 7 })
    const offer = new FakeOffer(new PathInfo({ ...nixSigned, node }))
    const { substituter, pathInfos } = world([offer])
    await expect(substituter.obtain(hash, call)).rejects.toThrow(SubstitutionError)
    expect(offer.flaws).toEqual(['nar-mismatch'])
    expect(pathInfos.count()).toBe(0)
  })

  test('a path that is signed the Nix way alone is stored once its NAR is right', async () => {
    const { substituter, pathInfos } = world([new FakeOffer(nixSigned)])
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect(pathInfos.count()).toBe(1)
  })

  test('an offer that failed is not kept for the next time', async () => {
    const offer = new FakeOffer(signed, fails)
    const { substituter, sources } = world([offer])
    await substituter.describe(hash, call)
    await expect(substituter.obtain(hash, call)).rejects.toThrow(SubstitutionError)
    sources[0]!.offers.splice(0, 1, new FakeOffer(signed))
    expect(await substituter.obtain(hash, call)).toBeDefined()
  })

  test('all who ask at once share one flight, which one of them may leave', async () => {
    const go = Promise.withResolvers<void>()
    const offer = new FakeOffer(signed, async (into, { signal }) => {
      await go.promise
      signal.throwIfAborted()
      await taken(nar, into)
    })
    const { substituter } = world([offer])
    const leave = new AbortController()
    const first = substituter.obtain(hash, { signal: leave.signal })
    const told: FetchProgress[] = []
    const others = [1, 2, 3].map(() => substituter.obtain(hash, call, (it) => told.push(it)))
    await settled()
    expect(told.length).toBe(3)
    expect(new Set(told).size).toBe(1)
    leave.abort(new Error('gone'))
    await expect(first).rejects.toThrow('gone')
    go.resolve()
    for (const other of others) expect((await other)?.narSize).toBe(nar.length)
    expect(offer.fetches).toBe(1)
    await substituter.obtain(hash, call, (it) => told.push(it))
    expect(told.length).toBe(3) // it is held now
  })

  test('when the last one leaves, the fetch is taken back and no other offer tried', async () => {
    const aborted = Promise.withResolvers<void>()
    const hanging = new FakeOffer(signed, async (_, { signal }) => {
      signal.addEventListener('abort', () => aborted.resolve())
      await new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      )
    })
    const next = new FakeOffer(signed)
    const { substituter } = world([hanging, next])
    const leave = new AbortController()
    const obtaining = substituter.obtain(hash, { signal: leave.signal })
    await settled()
    leave.abort(new Error('gone'))
    await expect(obtaining).rejects.toThrow('gone')
    await aborted.promise
    await settled()
    expect(next.fetches).toBe(0)
  })
})

describe('what is told to one who goes straight for the root', () => {
  test('is a claim with a trusted signature over the root, without fetching anything', async () => {
    const offer = new FakeOffer(signed)
    const { substituter } = world([offer])
    expect(await substituter.resolve(hash, call)).toEqual(signed)
    expect(offer.fetches).toBe(0)
  })

  test('is never a root that nobody trusted has signed: it is fetched and checked first', async () => {
    const offer = new FakeOffer(nixSigned)
    const { substituter } = world([offer])
    expect((await substituter.resolve(hash, call))?.node).toEqual(nixSigned.node)
    expect(offer.fetches).toBe(1)
    const liar = new FakeOffer(trojan, (into) => taken(otherNar, into))
    await expect(world([liar]).substituter.resolve(hash, call)).rejects.toThrow(SubstitutionError)
    expect(liar.flaws).toContain('nar-mismatch')
  })

  test('is nothing where nobody has the path', async () => {
    expect(await world([]).substituter.resolve(hash, call)).toBeUndefined()
  })
})

/** What a cache has: a NAR, of which nobody knows the root. */
function narOffer(bytes: Uint8Array, init: { signed?: boolean; cut?: boolean } = {}) {
  const flaws: OfferFlaw[] = []
  const { storePath, narSize, narSha256, references, signatures } = nixSigned
  const fields = { storePath, narSize, narSha256, references }
  const facts = new PathFacts(init.signed === false ? fields : { ...fields, signatures })
  const offer: NarOffer = {
    kind: 'nar',
    facts,
    keys: [],
    isShared: true,
    async *nar() {
      yield* inPieces(bytes, [100])
      if (init.cut === true) throw new Error('the cable is cut')
    },
    turnDown: (flaw) => flaws.push(flaw),
  }
  return { offer, flaws }
}

describe('what a cache has', () => {
  test('is had from a neighbour that has got it since it was described', async () => {
    const content = new FakeOffer(nixSigned)
    const cached = narOffer(nar).offer
    const { substituter, sources } = world([], [cached])
    expect(await substituter.describe(hash, call)).toBeDefined()
    sources[0]!.offers.push(content)
    Object.assign(sources[0]!, { isNamed: () => true })
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect(content.fetches).toBe(1)
    expect(sources[1]!.finds).toBe(1) // when it was described
  })

  test('is had from the cache where the neighbour that is said to have it gives nothing', async () => {
    const cached = narOffer(nar).offer
    const { substituter, sources } = world([], [cached])
    await substituter.describe(hash, call)
    Object.assign(sources[0]!, { isNamed: () => true })
    expect(await substituter.obtain(hash, call)).toBeDefined()
    expect(sources.map(({ finds }) => finds)).toEqual([2, 1])
  })

  test('is described without a root, and stored with the one that its NAR has', async () => {
    const { substituter, pathInfos } = world([narOffer(nar).offer])
    const facts = await substituter.describe(hash, call)
    expect(facts?.narSize).toBe(nar.length)
    expect(facts).not.toBeInstanceOf(PathInfo)
    expect((await substituter.obtain(hash, call))?.node).toEqual(plain.node)
    expect(pathInfos.count()).toBe(1)
  })

  test('counts for nothing where nobody trusted signed it', async () => {
    const { offer, flaws } = narOffer(nar, { signed: false })
    const { substituter } = world([offer])
    expect(await substituter.describe(hash, call)).toBeUndefined()
    expect(flaws).toEqual(['untrusted'])
  })

  test('counts by a key of that cache, and of no other', async () => {
    const { offer } = narOffer(nar)
    const signatures = new Signer({ key: KEYS.b }).sign(plain).signatures
    const facts = new PathFacts({ ...offer.facts, signatures })
    const { substituter } = world([{ ...offer, facts }])
    expect(await substituter.describe(hash, call)).toBeUndefined()
    const own = world([{ ...offer, facts, keys: [KEYS.b.publicKey()] }])
    expect(await own.substituter.obtain(hash, call)).toBeDefined()
  })

  test('is turned down where its NAR is another, longer or cut off; the next one is taken', async () => {
    const longer = Buffer.concat([nar, Buffer.alloc(100)])
    const wrong = [
      narOffer(otherNar),
      narOffer(longer),
      narOffer(nar.subarray(0, 200), { cut: true }),
    ]
    const offers = [...wrong.map(({ offer }) => offer), narOffer(nar).offer]
    const { substituter, pathInfos } = world(offers)
    expect((await substituter.obtain(hash, call))?.node).toEqual(plain.node)
    expect(wrong[0]!.flaws).toEqual(['nar-mismatch'])
    expect(pathInfos.count()).toBe(1)
  })
})
