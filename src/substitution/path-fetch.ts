import type { Castore } from '../castore/castore.ts'
import { type Call, narrowedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { SpoolStore } from '../foundation/spool.ts'
import { ingestNar } from '../nar/ingest-nar.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { FinalClaim, TrustPolicy } from '../pathinfo/trust-policy.ts'
import { AnotherLook } from './another-look.ts'
import type { CandidateQueue, NextCandidate } from './candidate-queue.ts'
import { FetchProgress } from './fetch-progress.ts'
import { type Candidate, factsOfCandidate } from './known-offers.ts'
import { NarArrival } from './nar-arrival.ts'
import { narCheck } from './nar-check.ts'
import { admitOffer, flawOf } from './offer-admission.ts'
import { OfferPace } from './offer-pace.ts'
import { OfferRace } from './offer-race.ts'
import type { OfferFetchInit } from './path-source.ts'
import type { Pull, PullSharing } from './pull-sharing.ts'
import { fetchByRoot } from './root-fetch.ts'
import type { SourceWatch } from './source-watch.ts'

/**
 * For how long neighbours are asked that have pulled a path, in milliseconds: the line to them may
 * be full, but that to the cache is thinner.
 */
export const PULLED_LOOKING_MS_MAX = 15_000

/** What a fetch works with. */
export interface PathFetchComponents {
  readonly castore: Castore
  readonly trust: TrustPolicy
  readonly sources: readonly SourceWatch[]
  readonly clock: Clock
  readonly log: Log
  /** Where NARs go that are read while they come; without it, none is. */
  readonly spools?: SpoolStore
  /** Who else pulls paths from caches; without it, each path is pulled here. */
  readonly pulls?: PullSharing
}

type NarCandidate = Extract<Candidate, { kind: 'nar' }>
type ContentCandidate = Extract<Candidate, { kind: 'content' }>

/**
 * One path on its way here, by one candidate after the other. Of what a cache has the content comes
 * below the root that the cache names, from whoever has that; else its NAR, from the cache or from
 * a neighbour that pulls it.
 */
export class PathFetch implements Disposable {
  readonly progress = new FetchProgress()
  readonly faults: unknown[] = []
  readonly #components: PathFetchComponents
  readonly #arriving = Promise.withResolvers<NarArrival | undefined>()
  #arrival: NarArrival | undefined
  /** The right to pull the path, while this node does. */
  #pull: Pull | undefined

  constructor(components: PathFetchComponents) {
    this.#components = components
  }

  /** Resolves with the NAR, once it comes so that it can be read meanwhile; or when all is over. */
  get arriving(): Promise<NarArrival | undefined> {
    return this.#arriving.promise
  }

  /**
   * What an offer brought, whole and checked; undefined where it came to nothing, which goes to
   * `faults`, or where it is put last in the queue because it takes too long.
   * @throws the call's reason
   */
  async take(
    { candidate, isLast }: NextCandidate,
    queue: Pick<CandidateQueue, 'hasAnother' | 'putLast'>,
    call: Call,
  ): Promise<FinalClaim | undefined> {
    try {
      if (candidate.kind === 'nar') return await this.#takeOfCache(candidate, call)
      if (isLast) return await this.#takeContent(candidate, call)
      return await this.#takeUnlessSlow(candidate, queue, call)
    } catch (fault) {
      call.signal.throwIfAborted()
      turnDown(candidate, fault)
      const { storePath } = factsOfCandidate(candidate)
      this.#components.log.warn('offer failed', { storePath, error: fault })
      this.faults.push(fault)
      return undefined
    }
  }

  /** The path is here and stored: whoever reads it as it comes, or follows it, is told. */
  async settle(pathInfo: PathInfo, call: Call): Promise<void> {
    this.#pull?.complete()
    await this.#arrival?.settle(pathInfo, call)
  }

  /** It will not come. */
  fail(error: unknown): void {
    this.#arrival?.fail(error)
  }

  [Symbol.dispose](): void {
    this.#pull?.[Symbol.dispose]()
    this.#arriving.resolve(undefined)
  }

  /** Content that is given up for a while where nothing comes and somebody else has it. */
  async #takeUnlessSlow(
    candidate: ContentCandidate,
    queue: Pick<CandidateQueue, 'hasAnother' | 'putLast'>,
    call: Call,
  ): Promise<FinalClaim | undefined> {
    const { castore, log } = this.#components
    const { offer, claim } = candidate
    const pace = new OfferPace(
      { ...this.#components, progress: this.progress },
      {
        onStall: () => offer.tooSlow?.() === true,
        hasAnother: (waiting) => queue.hasAnother(waiting),
      },
    )
    if (!(await pace.during((timed) => offer.fetch(castore, this.progress, timed), call))) {
      log.debug('an offer is put last', { storePath: claim.pathInfo.storePath })
      queue.putLast(candidate)
      return undefined
    }
    return await narCheck(claim, this.#components, call)
  }

  async #takeContent(
    { offer, claim }: ContentCandidate,
    call: Call,
    init: OfferFetchInit = {},
  ): Promise<FinalClaim> {
    const { castore } = this.#components
    await offer.fetch(castore, this.progress, call, init)
    return await narCheck(claim, this.#components, call)
  }

  async #takeOfCache(candidate: NarCandidate, call: Call): Promise<FinalClaim> {
    return (await this.#takeByRoot(candidate, call)) ?? (await this.#takeTurns(candidate, call))
  }

  /** By the root that the cache names; undefined where that comes to nothing. */
  async #takeByRoot({ offer, nar }: NarCandidate, call: Call): Promise<FinalClaim | undefined> {
    const { root } = offer
    if (root === undefined) return undefined
    const { log } = this.#components
    const { storePath } = nar.facts
    this.progress.restart()
    try {
      return await fetchByRoot({ nar, root }, this.#components, this.progress, call)
    } catch (fault) {
      call.signal.throwIfAborted()
      if (flawOf(fault) === 'nar-mismatch') offer.turnDown('false-root')
      log.debug('a path does not come by the root that a cache named', { storePath, error: fault })
    }
    this.progress.restart()
    return undefined
  }

  /** Takes a NAR, or has the path from a neighbour who has taken it meanwhile. */
  async #takeTurns(candidate: NarCandidate, call: Call): Promise<FinalClaim> {
    const { castore } = this.#components
    const { facts } = candidate.nar
    const pulls = candidate.offer.isShared ? this.#components.pulls : undefined
    const ask = () => pulls?.turn(facts, castore, this.progress, call)
    let turn = ask()
    for (;;) {
      const pull = await turn
      if (pulls !== undefined && pull === undefined) {
        const final = await this.#takeOfNeighbours(facts.storePath.hash, call)
        if (final !== undefined) return final
        turn = ask() // they have gone: somebody else is to pull it
        continue
      }
      this.#pull = pull
      try {
        return await this.#takeNar(candidate, call)
      } catch (fault) {
        this.#pull = undefined
        if (pull?.lost.aborted !== true || call.signal.aborted) {
          pull?.[Symbol.dispose]()
          throw fault
        }
        turn = pull.again(call)
      }
    }
  }

  /** The path from a neighbour who has it whole; undefined where it does not come. */
  async #takeOfNeighbours(hash: Uint8Array, call: Call): Promise<FinalClaim | undefined> {
    // They have it by now: a cache that answered sooner would have it pulled once more.
    const sources = this.#components.sources.filter(({ source }) => source.sharesPulls === true)
    const init = { msMax: PULLED_LOOKING_MS_MAX }
    const look = new AnotherLook({ ...this.#components, sources }, hash, init)
    for (;;) {
      for await (const found of new OfferRace({ ...this.#components, sources }, hash).run(call)) {
        const candidate = admitOffer(hash, found, this.#components, [])
        if (candidate === undefined || candidate.kind === 'nar') continue
        try {
          return await this.#takeContent(candidate, call, { isSpread: true })
        } catch (fault) {
          call.signal.throwIfAborted()
          turnDown(candidate, fault)
          const source = found.source.name
          this.#components.log.debug('what a neighbour pulled did not come', {
            source,
            error: fault,
          })
        }
      }
      // Busy ones answer later than they are waited for at first.
      if (!(await look.isDue(call))) return undefined
    }
  }

  async #takeNar({ offer, nar }: NarCandidate, call: Call): Promise<FinalClaim> {
    const { castore, trust, log, spools } = this.#components
    const { facts } = nar
    if (spools !== undefined) {
      this.#arrival ??= new NarArrival({ spools, castore, log }, facts)
      const arrival = this.#arrival
      void arrival.begun(call).then(
        () => this.#arriving.resolve(arrival),
        () => undefined, // everybody has left
      )
    }
    const pull = this.#pull
    const inner = pull === undefined ? call : narrowedCall(call, pull.lost)
    const bytes = offer.nar(this.progress, inner)
    const passed = this.#arrival?.passing(bytes) ?? bytes
    const ingested = await ingestNar(passed, castore, inner, {
      narBytesMax: facts.narSize,
      onRead: (measure) => this.#arrival?.prove(measure),
      ...(pull && { onStored: (chunk) => pull.stored(chunk) }),
    })
    return trust.settleNar(nar, ingested)
  }
}

/** Tells the source what was wrong with its offer, where it was to blame. */
function turnDown({ offer }: Candidate, fault: unknown): void {
  const flaw = flawOf(fault)
  if (flaw !== undefined) offer.turnDown(flaw)
}
