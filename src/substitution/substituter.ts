import type { Castore } from '../castore/castore.ts'
import type { Leases } from '../castore/leases.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { SingleFlight } from '../foundation/single-flight.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { TrustedClaim, TrustPolicy } from '../pathinfo/trust-policy.ts'
import { FetchProgress } from './fetch-progress.ts'
import { MissMemory } from './miss-memory.ts'
import { narCheck } from './nar-check.ts'
import type { Offer, OfferFlaw, PathSource } from './path-source.ts'
import { SubstitutionError } from './substitution-error.ts'
import type { UseTracker } from './use-tracker.ts'

/** For how long an offer that was described is kept for the fetch that mostly follows. */
export const OFFER_MS = 60_000

/** How many offers that were described are kept. */
export const OFFERS_MAX = 16_384

/** What the substituter works with. */
export interface SubstituterComponents {
  readonly castore: Castore
  readonly pathInfos: PathInfoStore
  readonly trust: TrustPolicy
  readonly sources: readonly PathSource[]
  readonly clock: Clock
  readonly log: Log
  /** Who is at work with content, where content may be collected. */
  readonly leases?: Leases
  /** Who wants to know which paths are in use. */
  readonly uses?: UseTracker
}

interface Candidate {
  readonly offer: Offer
  readonly claim: TrustedClaim
}

/**
 * Answers for store paths, from what is held here or from whoever has them. Concurrent requests for
 * one path share one flight.
 */
export class Substituter {
  readonly #components: SubstituterComponents
  readonly #misses: MissMemory
  readonly #candidates = new Map<string, Candidate & { readonly until: number }>()
  readonly #describing = new SingleFlight<PathInfo | undefined>()
  readonly #obtaining = new SingleFlight<PathInfo | undefined>()
  readonly #progress = new Map<string, FetchProgress>()

  constructor(components: SubstituterComponents, init: { missMs?: number } = {}) {
    this.#components = components
    this.#misses = new MissMemory(components, init)
  }

  /**
   * What is known of a path: held here, or claimed by someone trusted. Cheap; fetches nothing.
   * Undefined where nobody has it.
   */
  async describe(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const held = await this.#held(hash, call)
    if (held !== undefined) return held
    const key = encodeNixBase32(hash)
    const known = this.#candidate(key)
    if (known !== undefined) return known.claim.pathInfo
    if (this.#isMissing(hash, key)) return undefined
    return await this.#describing.run(key, (shared) => this.#ask(hash, key, shared), call)
  }

  /** Whether nobody had a path a moment ago, and nobody has said anything since. */
  #isMissing(hash: Uint8Array, key: string): boolean {
    const sinceMs = this.#misses.sinceMs(key)
    if (sinceMs === undefined) return false
    return !this.#components.sources.some((source) => source.hasNews?.(hash, sinceMs))
  }

  async #held(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const held = await this.#components.pathInfos.get(hash, call)
    if (held !== undefined) this.#components.uses?.used(hash)
    return held
  }

  async #ask(hash: Uint8Array, key: string, call: Call): Promise<PathInfo | undefined> {
    const sinceMs = this.#components.clock.now()
    for await (const candidate of this.#offered(hash, [], call)) {
      this.#remember(key, candidate)
      return candidate.claim.pathInfo
    }
    this.#misses.remember(key, sinceMs)
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
    const key = encodeNixBase32(hash)
    const flight = this.#obtaining.run(key, (shared) => this.#obtain(hash, key, shared), call)
    const progress = this.#progress.get(key)
    if (progress !== undefined) onFetch?.(progress)
    return await flight
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
    const claim = this.#candidate(encodeNixBase32(hash))?.claim
    if (claim?.pathInfo === described && claim.final) return described
    return await this.obtain(hash, call)
  }

  /** Someone new may have what nobody had before. */
  forgetMisses(): void {
    this.#misses.forgetAll()
  }

  async #obtain(hash: Uint8Array, key: string, call: Call): Promise<PathInfo | undefined> {
    const { castore, pathInfos, trust, log, leases } = this.#components
    using _lease = leases?.begin()
    const progress = new FetchProgress()
    this.#progress.set(key, progress)
    const faults: unknown[] = []
    try {
      for await (const { offer, claim } of this.#offered(hash, faults, call, key)) {
        try {
          await offer.fetch(castore, progress, call)
          const final = await narCheck(claim, { trust, castore }, call)
          await pathInfos.put([final], call)
          this.#components.uses?.used(hash)
          this.#candidates.delete(key)
          return final.pathInfo
        } catch (fault) {
          call.signal.throwIfAborted()
          this.#candidates.delete(key)
          const flaw = flawOf(fault)
          if (flaw !== undefined) offer.turnDown(flaw)
          log.warn('offer failed', { storePath: claim.pathInfo.storePath, error: fault })
          faults.push(fault)
        }
      }
    } finally {
      this.#progress.delete(key)
    }
    if (faults.length === 0) return undefined
    const what = `${key} was offered, but could not be had`
    const fault = { code: 'offers-failed', storePathHash: key, causes: faults } as const
    throw new SubstitutionError(fault, what, { cause: faults[0] })
  }

  /** Trusted offers as they come in: first the one described before, then all from each source. */
  async *#offered(
    hash: Uint8Array,
    faults: unknown[],
    call: Call,
    rememberedAs?: string,
  ): AsyncGenerator<Candidate> {
    const known = rememberedAs === undefined ? undefined : this.#candidate(rememberedAs)
    if (known !== undefined) yield known
    for (const source of this.#components.sources) {
      for await (const offer of source.find(hash, call)) {
        const candidate = this.#admit(hash, offer, source, faults)
        if (candidate !== undefined) yield candidate
      }
    }
  }

  #admit(
    hash: Uint8Array,
    offer: Offer,
    source: PathSource,
    faults: unknown[],
  ): Candidate | undefined {
    const { log, trust } = this.#components
    const { storePath } = offer.claim.pathInfo
    if (Buffer.compare(storePath.hash, hash) !== 0) {
      offer.turnDown('forged') // an answer for another path than asked
      return undefined
    }
    try {
      return { offer, claim: trust.admit(offer.claim) }
    } catch (fault) {
      const flaw = flawOf(fault)
      if (flaw === undefined) throw fault
      log.debug('claim turned down', { source: source.name, storePath, flaw })
      offer.turnDown(flaw)
      if (flaw !== 'untrusted') faults.push(fault)
      return undefined
    }
  }

  #candidate(key: string): Candidate | undefined {
    const candidate = this.#candidates.get(key)
    if (candidate === undefined) return undefined
    if (candidate.until > this.#components.clock.now()) return candidate
    this.#candidates.delete(key)
    return undefined
  }

  #remember(key: string, candidate: Candidate): void {
    const nowMs = this.#components.clock.now()
    this.#candidates.delete(key) // to the end: the map is in the order of expiry
    this.#candidates.set(key, { ...candidate, until: nowMs + OFFER_MS })
    for (const [oldest, { until }] of this.#candidates) {
      if (until > nowMs && this.#candidates.size <= OFFERS_MAX) return
      this.#candidates.delete(oldest)
    }
  }
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
