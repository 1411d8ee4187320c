import type { Call } from '../foundation/call.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import type { Service } from '../foundation/service.ts'
import {
  type Collected,
  type CollectionBounds,
  type CollectionComponents,
  collect,
} from './collection.ts'
import { type CompactionReport, compactStore } from './compaction.ts'

/** How often it is looked whether the store has outgrown its bounds. */
export const LOOK_MS = 60_000

/** How often paths are looked through that nobody has asked for in a long time. */
export const AGE_LOOK_MS = 3_600_000

/** The part of its bound that the store is brought down to when it has outgrown it. */
const KEPT_PART = 0.9

/** How large a store may become, and how long paths stay that nobody asks for. */
export interface StoreBounds {
  /** Bytes of segments. */
  readonly maxBytes?: number | undefined
  readonly maxAgeMs?: number | undefined
}

/** What a round of cleaning up came to. */
export interface CleanUp extends Collected {
  readonly compaction: CompactionReport | undefined
  /** Length of all segments when it was over, in bytes. */
  readonly diskBytes: number
}

/** Keeps the store within its bounds, one round at a time: by itself, and when it is asked to. */
export class Janitor implements Service {
  readonly name = 'janitor'
  readonly #components: CollectionComponents
  readonly #bounds: StoreBounds
  readonly #turn = new Semaphore(1)
  readonly #stopping = new AbortController()
  #work: Promise<void> = Promise.resolve()
  #agedMs: number

  constructor(components: CollectionComponents, init: StoreBounds = {}) {
    this.#components = components
    this.#bounds = init
    this.#agedMs = components.clock.now()
  }

  async start(): Promise<void> {
    this.#work = this.#watch()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#work
  }

  /** Removes what is beyond the bounds, and what nothing refers to, and gives the space back. */
  async cleanUp(
    init: Pick<CollectionBounds, 'isDryRun' | 'youngMs'> & StoreBounds,
    call: Call,
  ): Promise<CleanUp> {
    const { keeper, log } = this.#components
    using _turn = await this.#turn.acquire(1, call)
    const { maxBytes = this.#bounds.maxBytes, maxAgeMs = this.#bounds.maxAgeMs } = init
    const collected = await collect(this.#components, { ...init, maxBytes, maxAgeMs }, call)
    const isDry = init.isDryRun === true
    const compaction = isDry
      ? undefined
      : await compactStore(this.#components, { bytesMax: maxBytes }, call)
    const diskBytes = await keeper.diskBytes(call)
    if (!isDry) {
      const { paths, records, bytes } = collected
      log.info('cleaned up', { paths: paths.length, records, bytes, ...compaction, diskBytes })
    }
    return { ...collected, compaction, diskBytes }
  }

  async #watch(): Promise<void> {
    const { clock, log } = this.#components
    const call = { signal: this.#stopping.signal }
    while (!call.signal.aborted) {
      await clock.sleep(LOOK_MS, call).catch(() => undefined) // stopping
      if (call.signal.aborted) return
      await this.#look(call).catch((error) => {
        if (!call.signal.aborted) log.warn('cleaning up failed', { error })
      })
    }
  }

  async #look(call: Call): Promise<void> {
    const { keeper, clock } = this.#components
    const { maxBytes = Infinity, maxAgeMs } = this.#bounds
    const isAged = maxAgeMs !== undefined && clock.now() - this.#agedMs >= AGE_LOOK_MS
    const isFull = maxBytes < Infinity && (await keeper.diskBytes(call)) > maxBytes
    if (!isAged && !isFull) return
    this.#agedMs = clock.now()
    await this.cleanUp(isFull ? { maxBytes: maxBytes * KEPT_PART } : {}, call)
  }
}
