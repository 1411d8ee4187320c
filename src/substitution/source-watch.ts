import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { type Clock, withDeadline } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import type { Offer, PathSource, RootOffer } from './path-source.ts'
import type { SourceView } from './source-order.ts'

/** For how long a source is left alone after its first failure, in milliseconds. */
export const BENCH_MS = 1_000

/** For how long after many, in milliseconds. */
export const BENCH_MAX_MS = 60_000

/** How long a benched source has to show that it is back, in milliseconds. */
export const PROBE_MS = 5_000

/**
 * How long a source may look for the root that a cache has named, in milliseconds: the NAR, which
 * the cache has for sure, waits meanwhile.
 */
export const ROOT_FIND_MS = 1_000

/** For how long a source is asked for no roots once it was too slow with one, in milliseconds. */
export const ROOT_REST_MS = 30_000

/** For how long a source counts as delivering after content of it has come, in milliseconds. */
export const DELIVERING_MS = 5_000

/** What of an answer's time goes into the usual time. */
const LATENCY_WEIGHT = 0.2

/** How a source does, for people. */
export interface SourceReport {
  readonly name: string
  readonly priority: number
  readonly state: 'ready' | 'unproven' | 'benched'
  /** How many times it was asked, and how many of them it had the path. */
  readonly asked: number
  readonly hits: number
  readonly faults: number
  readonly latencyMs: number | undefined
  readonly lastFault: { readonly what: string; readonly atMs: number } | undefined
}

/**
 * Watches how a source does: what it takes to answer, how often it has what is asked for. One that
 * fails is benched, longer each time, and tried again in the background, so that nobody waits for
 * it before it is back.
 */
export class SourceWatch implements Service {
  readonly name: string
  readonly source: PathSource
  readonly #clock: Clock
  readonly #log: Log
  readonly #stopping = new AbortController()
  #asked = 0
  #hits = 0
  #faults = 0
  #latencyMs: number | undefined
  #lastFault: SourceReport['lastFault']
  /** How often it failed since it last answered. */
  #failedInTurn = 0
  #isBenched = false
  /** Until when it is asked for no roots. */
  #restsUntilMs = 0
  #probing: Promise<void> = Promise.resolve()

  constructor(components: { source: PathSource; clock: Clock; log: Log }) {
    this.source = components.source
    this.name = components.source.name
    this.#clock = components.clock
    this.#log = components.log
  }

  get view(): SourceView {
    const { name, priority, limitMs, isDoubtful = false, deliveredAtMs } = this.source
    const sinceMs = this.#clock.now() - (deliveredAtMs ?? Number.NEGATIVE_INFINITY)
    return {
      name,
      priority,
      isBenched: this.#isBenched,
      isDoubtful,
      latencyMs: this.#latencyMs,
      isDelivering: sinceMs < DELIVERING_MS,
      ownLimitMs: limitMs,
    }
  }

  get report(): SourceReport {
    const { name, priority } = this.source
    const proven = this.#latencyMs === undefined ? 'unproven' : 'ready'
    return {
      name,
      priority,
      state: this.#isBenched ? 'benched' : proven,
      asked: this.#asked,
      hits: this.#hits,
      faults: this.#faults,
      latencyMs: this.#latencyMs,
      lastFault: this.#lastFault,
    }
  }

  /** Finds out in the background whether it can be reached, if it can say so. */
  async start(): Promise<void> {
    if (this.source.probe !== undefined) this.#probing = this.#probeUntilBack(0)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#probing
  }

  /** Asks the source. @throws as it does, once that is noted */
  async *find(hash: Uint8Array, call: Call): AsyncGenerator<Offer> {
    this.#asked++
    const begunMs = this.#clock.now()
    let isFound = false
    try {
      for await (const offer of this.source.find(hash, call)) {
        if (!isFound) this.#answered(begunMs)
        if (!isFound) this.#hits++
        isFound = true
        yield offer
      }
      if (!isFound && !call.signal.aborted) this.#answered(begunMs)
    } catch (error) {
      if (!call.signal.aborted) this.failed(error)
      throw error
    }
  }

  /**
   * Who has a root, where the source can tell soon. That it can not says nothing of the paths that
   * it has, so that it is no fault.
   */
  async findRoot(root: Node, narSize: number, call: Call): Promise<RootOffer | undefined> {
    const isResting = this.#isBenched || this.#clock.now() < this.#restsUntilMs
    if (isResting || this.source.findRoot === undefined) return undefined
    const what = `asking ${this.name} for a root`
    try {
      return await withDeadline(this.#clock, ROOT_FIND_MS, what, call, (timed) =>
        unlessAborted(this.source.findRoot!(root, narSize, timed), timed.signal),
      )
    } catch (error) {
      call.signal.throwIfAborted()
      this.restRoots(error)
      return undefined
    }
  }

  /** It was too slow with a root, or failed: it is asked for none for a while. */
  restRoots(error: unknown): void {
    this.#log.debug('source is asked for no roots for a while', { source: this.name, error })
    this.#restsUntilMs = this.#clock.now() + ROOT_REST_MS
  }

  /** It failed, or took too long. */
  failed(error: unknown): void {
    this.#faults++
    this.#failedInTurn++
    const what = error instanceof Error ? error.message : String(error)
    this.#lastFault = { what, atMs: this.#clock.now() }
    if (this.#isBenched || this.source.probe === undefined) return
    this.#log.warn('source is left alone until it is back', { source: this.name, error: what })
    const benchMs = Math.min(BENCH_MS * 2 ** (this.#failedInTurn - 1), BENCH_MAX_MS)
    this.#probing = this.#probeUntilBack(benchMs)
  }

  #answered(begunMs: number): void {
    const tookMs = this.#clock.now() - begunMs
    const before = this.#latencyMs ?? tookMs
    this.#latencyMs = before + LATENCY_WEIGHT * (tookMs - before)
    this.#failedInTurn = 0
  }

  async #probeUntilBack(firstMs: number): Promise<void> {
    const call = { signal: this.#stopping.signal }
    this.#isBenched = firstMs > 0
    let waitMs = firstMs
    while (!call.signal.aborted) {
      try {
        if (waitMs > 0) await this.#clock.sleep(waitMs, call)
        const begunMs = this.#clock.now()
        await withDeadline(this.#clock, PROBE_MS, `probing ${this.name}`, call, (timed) =>
          this.source.probe!(timed),
        )
        this.#answered(begunMs)
        if (this.#isBenched) this.#log.info('source is back', { source: this.name })
        this.#isBenched = false
        return
      } catch (error) {
        if (call.signal.aborted) return
        this.#isBenched = true
        const what = error instanceof Error ? error.message : String(error)
        this.#lastFault = { what, atMs: this.#clock.now() }
        waitMs = Math.min(Math.max(waitMs * 2, BENCH_MS), BENCH_MAX_MS)
        this.#log.debug('source is not back', { source: this.name, error: what, waitMs })
      }
    }
  }
}
