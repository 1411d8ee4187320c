import type { Leases } from '../castore/leases.ts'
import type { Call } from '../foundation/call.ts'
import type { ExpiringMap } from '../foundation/expiring-map.ts'
import { SingleFlight } from '../foundation/single-flight.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import { AnotherLook, isSearched } from './another-look.ts'
import { CandidateQueue } from './candidate-queue.ts'
import type { FetchProgress } from './fetch-progress.ts'
import { type Candidate, factsOfCandidate, knownOffers } from './known-offers.ts'
import { MissMemory } from './miss-memory.ts'
import type { NarArrival } from './nar-arrival.ts'
import { admitOffer } from './offer-admission.ts'
import { OfferRace } from './offer-race.ts'
import { PathFetch, type PathFetchComponents } from './path-fetch.ts'
import { isDoubtful } from './path-source.ts'
import type { SourceWatch } from './source-watch.ts'
import { SubstitutionError } from './substitution-error.ts'
import type { UseTracker } from './use-tracker.ts'

/** What the substituter works with. */
export interface SubstituterComponents extends PathFetchComponents {
  readonly pathInfos: PathInfoStore
  /** Who is at work with content, where content may be collected. */
  readonly leases?: Leases
  /** Who wants to know which paths are in use. */
  readonly uses?: UseTracker
}

/**
 * Answers for store paths, from what is held here or from whoever has them. Concurrent requests for
 * one path share one flight.
 */
export class Substituter {
  readonly #components: SubstituterComponents
  readonly #misses: MissMemory
  readonly #known: ExpiringMap<Candidate>
  readonly #describing = new SingleFlight<PathFacts | undefined>()
  readonly #obtaining = new SingleFlight<PathInfo | undefined>()
  readonly #fetches = new Map<string, PathFetch>()

  constructor(components: SubstituterComponents, init: { missMs?: number } = {}) {
    this.#components = components
    this.#misses = new MissMemory(components, init)
    this.#known = knownOffers(components)
  }

  /**
   * What is known of a path: held here, or claimed by someone trusted. Cheap; fetches nothing. The
   * root of what a cache has is not known before it is here. Undefined where nobody has it, as far
   * as could be told at once: a search that takes longer goes on, and tells who asks again.
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

  /**
   * Whether a path that nobody had may turn up soon: a source goes on looking for it, or one is
   * away that has answered before.
   */
  mayCome(hash: Uint8Array): boolean {
    const { sources } = this.#components
    const isAway = sources.some(({ view }) => view.isBenched && view.latencyMs !== undefined)
    return isAway || isSearched(sources, hash)
  }

  /** Whether nobody had a path a moment ago, and nobody has said anything since. */
  #isMissing(hash: Uint8Array, key: string): boolean {
    const { sources } = this.#components
    const sinceMs = this.#misses.sinceMs(key)
    if (sinceMs === undefined || isSearched(sources, hash)) return false
    return !sources.some(({ source }) => source.hasNews?.(hash, sinceMs))
  }

  async #held(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const held = await this.#components.pathInfos.get(hash, call)
    if (held !== undefined) this.#components.uses?.used(hash)
    return held
  }

  async #ask(hash: Uint8Array, key: string, call: Call): Promise<PathFacts | undefined> {
    const sinceMs = this.#components.clock.now()
    const race = new OfferRace(this.#components, hash)
    for await (const found of race.run(call)) {
      const candidate = admitOffer(hash, found, this.#components, [])
      if (candidate === undefined) continue
      this.#known.set(key, candidate)
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
    return (await Promise.race([fetch?.arriving, flight])) ?? (await flight)
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
    const described = await this.#describeInTime(hash, call)
    if (described === undefined) return undefined
    const known = this.#known.get(encodeNixBase32(hash))
    const claim = known?.kind === 'content' ? known.claim : undefined
    if (claim?.pathInfo === described && claim.final) return claim.pathInfo
    return await this.obtain(hash, call)
  }

  /** As {@link describe}, but to the end of a search. */
  async #describeInTime(hash: Uint8Array, call: Call): Promise<PathFacts | undefined> {
    const look = new AnotherLook(this.#components, hash)
    for (;;) {
      const described = await this.describe(hash, call)
      if (described !== undefined || !(await look.isDue(call))) return described
    }
  }

  /** Whether a path is not here, but was described a moment ago: it was offered. */
  isOffered(hash: Uint8Array): boolean {
    return this.#known.get(encodeNixBase32(hash)) !== undefined
  }

  /** Someone new may have what nobody had before. */
  forgetMisses(): void {
    this.#misses.forgetAll()
  }

  async #obtain(hash: Uint8Array, key: string, call: Call): Promise<PathInfo | undefined> {
    const { pathInfos, leases } = this.#components
    using _lease = leases?.begin()
    using fetch = new PathFetch(this.#components)
    this.#fetches.set(key, fetch)
    const offered = (inner: Call) => this.#offered(hash, key, fetch.faults, inner)
    try {
      await using queue = new CandidateQueue(offered, call)
      for (;;) {
        const next = await queue.next()
        if (next === undefined) break
        const final = await fetch.take(next, queue, call)
        if (final !== undefined) await pathInfos.put([final], call)
        this.#known.delete(key)
        if (final === undefined) continue
        this.#components.uses?.used(hash)
        await fetch.settle(final.pathInfo, call)
        return final.pathInfo
      }
      if (fetch.faults.length === 0) return undefined
      throw offersFailed(key, fetch.faults)
    } catch (error) {
      fetch.fail(error)
      throw error
    } finally {
      this.#fetches.delete(key)
    }
  }

  /**
   * Trusted offers as they come in: first the one described before, then all from each source. What
   * a neighbour has got since comes before what a cache was said to have: the line to the cache is
   * the thinner one.
   */
  async *#offered(
    hash: Uint8Array,
    key: string,
    faults: unknown[],
    call: Call,
  ): AsyncGenerator<Candidate> {
    const known = this.#known.get(key)
    const isLate = known !== undefined && isDoubtful(known.offer)
    const named = this.#components.sources.filter(({ source }) => source.isNamed?.(hash) === true)
    if (known?.kind !== 'content' && named.length > 0) yield* this.#raced(named, hash, faults, call)
    if (known !== undefined && !isLate) yield known
    const look = new AnotherLook(this.#components, hash)
    do {
      yield* this.#raced(this.#components.sources, hash, faults, call)
    } while (await look.isDue(call))
    if (known !== undefined && isLate) yield known
  }

  async *#raced(
    sources: readonly SourceWatch[],
    hash: Uint8Array,
    faults: unknown[],
    call: Call,
  ): AsyncGenerator<Candidate> {
    const race = new OfferRace({ ...this.#components, sources }, hash)
    for await (const found of race.run(call)) {
      const candidate = admitOffer(hash, found, this.#components, faults)
      if (candidate !== undefined) yield candidate
    }
  }
}

function offersFailed(key: string, causes: unknown[]): SubstitutionError {
  const what = `${key} was offered, but could not be had`
  const fault = { code: 'offers-failed', storePathHash: key, causes } as const
  return new SubstitutionError(fault, what, { cause: causes[0] })
}
