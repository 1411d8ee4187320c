import type { Castore } from '../castore/castore.ts'
import type { Leases } from '../castore/leases.ts'
import { type Call, narrowedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { SingleFlight } from '../foundation/single-flight.ts'
import type { SpoolStore } from '../foundation/spool.ts'
import { ingestNar } from '../nar/ingest-nar.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { FinalClaim, TrustPolicy } from '../pathinfo/trust-policy.ts'
import { FetchProgress } from './fetch-progress.ts'
import { type Candidate, factsOfCandidate, KnownOffers } from './known-offers.ts'
import { MissMemory } from './miss-memory.ts'
import { NarArrival } from './nar-arrival.ts'
import { narCheck } from './nar-check.ts'
import { OfferRace } from './offer-race.ts'
import { factsOf, type Offer, type OfferFlaw } from './path-source.ts'
import type { Pull, PullSharing } from './pull-sharing.ts'
import type { SourceWatch } from './source-watch.ts'
import { SubstitutionError } from './substitution-error.ts'
import type { UseTracker } from './use-tracker.ts'

/** What the substituter works with. */
export interface SubstituterComponents {
  readonly castore: Castore
  readonly pathInfos: PathInfoStore
  readonly trust: TrustPolicy
  readonly sources: readonly SourceWatch[]
  readonly clock: Clock
  readonly log: Log
  /** Where NARs go that are read while they come; without it, none is. */
  readonly spools?: SpoolStore
  /** Who else pulls paths from caches; without it, each path is pulled here. */
  readonly pulls?: PullSharing
  /** Who is at work with content, where content may be collected. */
  readonly leases?: Leases
  /** Who wants to know which paths are in use. */
  readonly uses?: UseTracker
}

type NarCandidate = Extract<Candidate, { kind: 'nar' }>

/** One path on its way here. */
class Fetch {
  readonly progress = new FetchProgress()
  readonly faults: unknown[] = []
  /** Resolves with the NAR, once it comes so that it can be read meanwhile; or when all is over. */
  readonly arriving = Promise.withResolvers<NarArrival | undefined>()
  arrival: NarArrival | undefined
  /** The right to pull the path, while this node does. */
  pull: Pull | undefined
}

/**
 * Answers for store paths, from what is held here or from whoever has them. Concurrent requests for
 * one path share one flight.
 */
export class Substituter {
  readonly #components: SubstituterComponents
  readonly #misses: MissMemory
  readonly #known: KnownOffers
  readonly #describing = new SingleFlight<PathFacts | undefined>()
  readonly #obtaining = new SingleFlight<PathInfo | undefined>()
  readonly #fetches = new Map<string, Fetch>()

  constructor(components: SubstituterComponents, init: { missMs?: number } = {}) {
    this.#components = components
    this.#misses = new MissMemory(components, init)
    this.#known = new KnownOffers(components)
  }

  /**
   * What is known of a path: held here, or claimed by someone trusted. Cheap; fetches nothing. The
   * root of what a cache has is not known before it is here. Undefined where nobody has it.
   */
  async describe(hash: Uint8Array, call: Call): Promise<PathFacts | undefined> {
    const held = await this.#held(hash, call)
    if (held !== undefined) return held
    const key = encodeNixBase32(hash)
    const known = this.#known.get(key)
    if (known !== undefined) return factsOfCandidate(known)
    if (this.#isMissing(hash, key)) return undefined
    return await this.#describing.run(key, (shared) => this.#ask(hash, key, shared), call)
  }

  /** Whether nobody had a path a moment ago, and nobody has said anything since. */
  #isMissing(hash: Uint8Array, key: string): boolean {
    const sinceMs = this.#misses.sinceMs(key)
    if (sinceMs === undefined) return false
    return !this.#components.sources.some(({ source }) => source.hasNews?.(hash, sinceMs))
  }

  async #held(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const held = await this.#components.pathInfos.get(hash, call)
    if (held !== undefined) this.#components.uses?.used(hash)
    return held
  }

  async #ask(hash: Uint8Array, key: string, call: Call): Promise<PathFacts | undefined> {
    const sinceMs = this.#components.clock.now()
    const race = new OfferRace(this.#components, hash)
    for await (const { offer, source } of race.run(call)) {
      const candidate = this.#admit(hash, offer, source, [])
      if (candidate === undefined) continue
      this.#known.remember(key, candidate)
      return factsOfCandidate(candidate)
    }
    if (race.isWhole) this.#misses.remember(key, sinceMs)
    return undefined
  }

  /**
   * Brings a path here, whole and checked, and says what is held then. Undefined where nobody has
   * it. Where it has to be fetched, `onFetch` is given the progress of that, perhaps with others.
   * @throws SubstitutionError where there were offers and all of them failed
   */
  async obtain(
    hash: Uint8Array,
    call: Call,
    onFetch?: (progress: FetchProgress) => void,
  ): Promise<PathInfo | undefined> {
    const held = await this.#held(hash, call)
    if (held !== undefined) return held
    const { flight, fetch } = this.#begin(hash, call)
    if (fetch !== undefined) onFetch?.(fetch.progress)
    return await flight
  }

  /**
   * As {@link obtain}, but of a long NAR that comes from a cache it gives the arrival, to be read
   * while it comes. It goes on for as long as the call is not aborted.
   */
  async receive(hash: Uint8Array, call: Call): Promise<PathInfo | NarArrival | undefined> {
    const held = await this.#held(hash, call)
    if (held !== undefined) return held
    const { flight, fetch } = this.#begin(hash, call)
    flight.catch(() => undefined) // raced below; else who reads the arrival is told
    return (await Promise.race([fetch?.arriving.promise, flight])) ?? (await flight)
  }

  /** Begins to bring a path here, or joins who has begun already. */
  #begin(hash: Uint8Array, call: Call) {
    const key = encodeNixBase32(hash)
    const flight = this.#obtaining.run(key, (shared) => this.#obtain(hash, key, shared), call)
    return { flight, fetch: this.#fetches.get(key) }
  }

  /**
   * What may be told to one who goes straight for the root without rendering a NAR: what is held,
   * or claimed with a trusted signature over the root itself. A claim that is signed the Nix way
   * alone names no root that anybody trusted has seen: it is fetched and checked first.
   * @throws SubstitutionError where there were offers and all of them failed
   */
  async resolve(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const described = await this.describe(hash, call)
    if (described === undefined) return undefined
    const known = this.#known.get(encodeNixBase32(hash))
    const claim = known?.kind === 'content' ? known.claim : undefined
    if (claim?.pathInfo === described && claim.final) return claim.pathInfo
    return await this.obtain(hash, call)
  }

  /** Someone new may have what nobody had before. */
  forgetMisses(): void {
    this.#misses.forgetAll()
  }

  async #obtain(hash: Uint8Array, key: string, call: Call): Promise<PathInfo | undefined> {
    const { pathInfos, leases } = this.#components
    using _lease = leases?.begin()
    const fetch = new Fetch()
    this.#fetches.set(key, fetch)
    try {
      for await (const candidate of this.#offered(hash, key, fetch.faults, call)) {
        const final = await this.#tryOne(key, candidate, fetch, call)
        if (final === undefined) continue
        await pathInfos.put([final], call)
        this.#components.uses?.used(hash)
        this.#known.forget(key)
        fetch.pull?.complete()
        await fetch.arrival?.settle(final.pathInfo, call)
        return final.pathInfo
      }
      if (fetch.faults.length === 0) return undefined
      throw offersFailed(key, fetch.faults)
    } catch (error) {
      fetch.arrival?.fail(error)
      throw error
    } finally {
      fetch.pull?.[Symbol.dispose]()
      this.#fetches.delete(key)
      fetch.arriving.resolve(undefined)
    }
  }

  /** What an offer brought, whole and checked; undefined where it came to nothing. */
  async #tryOne(
    key: string,
    candidate: Candidate,
    fetch: Fetch,
    call: Call,
  ): Promise<FinalClaim | undefined> {
    const { castore, trust, log } = this.#components
    try {
      if (candidate.kind === 'nar') return await this.#takeTurns(candidate, fetch, call)
      await candidate.offer.fetch(castore, fetch.progress, call)
      return await narCheck(candidate.claim, { trust, castore }, call)
    } catch (fault) {
      call.signal.throwIfAborted()
      this.#known.forget(key)
      const flaw = flawOf(fault)
      if (flaw !== undefined) candidate.offer.turnDown(flaw)
      const { storePath } = factsOfCandidate(candidate)
      log.warn('offer failed', { storePath, error: fault })
      fetch.faults.push(fault)
      return undefined
    }
  }

  /** Takes a NAR, or has the path from a neighbour who has taken it meanwhile. */
  async #takeTurns(candidate: NarCandidate, fetch: Fetch, call: Call): Promise<FinalClaim> {
    const { castore } = this.#components
    const { facts } = candidate.nar
    const pulls = candidate.offer.isShared ? this.#components.pulls : undefined
    for (;;) {
      const pull = await pulls?.turn(facts, castore, fetch.progress, call)
      if (pulls !== undefined && pull === undefined) {
        const final = await this.#fromNeighbours(facts.storePath.hash, fetch, call)
        if (final !== undefined) return final
        continue // they have gone: somebody else is to pull it
      }
      fetch.pull = pull
      try {
        return await this.#takeNar(candidate, fetch, call)
      } catch (fault) {
        pull?.[Symbol.dispose]()
        fetch.pull = undefined
        call.signal.throwIfAborted()
        if (pull?.lost.aborted !== true) throw fault
      }
    }
  }

  /** The path from a neighbour who has it whole; undefined where it does not come. */
  async #fromNeighbours(
    hash: Uint8Array,
    fetch: Fetch,
    call: Call,
  ): Promise<FinalClaim | undefined> {
    const { castore, trust, log } = this.#components
    for await (const { offer, source } of new OfferRace(this.#components, hash).run(call)) {
      const candidate = this.#admit(hash, offer, source, [])
      // A cache may answer sooner than the neighbours, who have it by now.
      if (candidate === undefined || candidate.kind === 'nar') continue
      try {
        await candidate.offer.fetch(castore, fetch.progress, call)
        return await narCheck(candidate.claim, { trust, castore }, call)
      } catch (fault) {
        call.signal.throwIfAborted()
        const flaw = flawOf(fault)
        if (flaw !== undefined) candidate.offer.turnDown(flaw)
        log.debug('what a neighbour pulled did not come', { source: source.name, error: fault })
      }
    }
    return undefined
  }

  async #takeNar({ offer, nar }: NarCandidate, fetch: Fetch, call: Call): Promise<FinalClaim> {
    const { castore, trust, log, spools } = this.#components
    const { facts } = nar
    if (spools !== undefined) {
      fetch.arrival ??= new NarArrival({ spools, castore, log }, facts)
      const { arrival } = fetch
      void arrival.begun(call).then(
        () => fetch.arriving.resolve(arrival),
        () => undefined, // everybody has left
      )
    }
    const { pull } = fetch
    const inner = pull === undefined ? call : narrowedCall(call, pull.lost)
    const bytes = offer.nar(fetch.progress, inner)
    const passed = fetch.arrival?.passing(bytes) ?? bytes
    const ingested = await ingestNar(passed, castore, inner, {
      narBytesMax: facts.narSize,
      onRead: (measure) => fetch.arrival?.prove(measure),
      ...(pull && { onStored: (chunk) => pull.stored(chunk) }),
    })
    return trust.settleNar(nar, ingested)
  }

  /** Trusted offers as they come in: first the one described before, then all from each source. */
  async *#offered(
    hash: Uint8Array,
    key: string,
    faults: unknown[],
    call: Call,
  ): AsyncGenerator<Candidate> {
    const known = this.#known.get(key)
    if (known !== undefined) yield known
    for await (const { offer, source } of new OfferRace(this.#components, hash).run(call)) {
      const candidate = this.#admit(hash, offer, source, faults)
      if (candidate !== undefined) yield candidate
    }
  }

  #admit(
    hash: Uint8Array,
    offer: Offer,
    source: SourceWatch,
    faults: unknown[],
  ): Candidate | undefined {
    const { log, trust } = this.#components
    const { storePath } = factsOf(offer)
    if (Buffer.compare(storePath.hash, hash) !== 0) {
      offer.turnDown('forged') // an answer for another path than asked
      return undefined
    }
    try {
      return offer.kind === 'nar'
        ? { kind: 'nar', offer, nar: trust.admitNar(offer.facts, offer.keys) }
        : { kind: 'content', offer, claim: trust.admit(offer.claim) }
    } catch (fault) {
      const flaw = flawOf(fault)
      if (flaw === undefined) throw fault
      log.debug('claim turned down', { source: source.name, storePath, flaw })
      offer.turnDown(flaw)
      if (flaw !== 'untrusted') faults.push(fault)
      return undefined
    }
  }
}

function offersFailed(key: string, causes: unknown[]): SubstitutionError {
  const what = `${key} was offered, but could not be had`
  const fault = { code: 'offers-failed', storePathHash: key, causes } as const
  return new SubstitutionError(fault, what, { cause: causes[0] })
}

function flawOf(fault: unknown): OfferFlaw | undefined {
  if (!(fault instanceof PathInfoError)) return undefined
  switch (fault.fault.code) {
    case 'untrusted':
    case 'forged':
    case 'nar-mismatch':
      return fault.fault.code
    case 'bad-path-info':
    case 'bad-signature':
    case 'not-held':
    case 'too-many-choices':
      return undefined
  }
}
