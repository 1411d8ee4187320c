import type { ReadableCastore } from '../../castore/castore.ts'
import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { LocalPathInfoStore } from '../../pathinfo/path-info-store.ts'
import type { SharePolicy } from '../../pathinfo/share-policy.ts'
import type { Router } from '../routing/router.ts'
import { KeyTable } from './key-table.ts'
import { reachedKeys, rootKeys } from './reached-keys.ts'
import {
  afterStep,
  cutFor,
  firstRound,
  isOutgrown,
  placesOf,
  REPUBLISH_MS,
  type Round,
  stepDueMs,
} from './sweep-plan.ts'
import { ANNOUNCE_BURST_BYTES, CONTENT_RESERVE_BYTES, LOOK_MS, type Teller } from './telling.ts'

/** How much longer than going through the store took it is left alone, where keys are withdrawn. */
export const REST_RATIO = 20

/** The wait after the store could not be gone through. */
export const FAILED_MS = 60_000

/** What a sweep of the roots leaves of the burst to those that have just come, in bytes. */
const ROOTS_RESERVE_BYTES = ANNOUNCE_BURST_BYTES / 2

/** What a sweep works with. */
export interface SweepComponents {
  readonly router: Router
  readonly pathInfos: LocalPathInfoStore
  readonly castore: ReadableCastore
  readonly share: Pick<SharePolicy, 'shares'>
  readonly teller: Teller
  readonly clock: Clock
  readonly log: Log
}

/**
 * Announces all that is shared, again and again: it goes through the key space like the hand of a
 * clock, once in {@link REPUBLISH_MS}, and the first time as fast as the budget lets it.
 *
 * The keys come from going through the store, at the start of each round, and again before the next
 * step when some of them may be withdrawn.
 */
export class Sweep {
  readonly #components: SweepComponents
  readonly #most: Round['what']
  readonly #republishMs: number
  #round: Round
  #table: KeyTable | undefined
  /** The store is left alone until then. */
  #restUntilMs = 0
  /** Some of the table may be withdrawn. */
  #isStale = false
  /** Some paths were not told of one by one: everything is to be announced now. */
  #isBehind = false
  #toldReach = 0

  constructor(components: SweepComponents, init: { what: Round['what']; republishMs?: number }) {
    this.#components = components
    this.#most = init.what
    this.#republishMs = init.republishMs ?? REPUBLISH_MS
    this.#round = firstRound(components.clock.now())
  }

  /** Whether it is going through everything as fast as may be. */
  get isHurried(): boolean {
    return this.#round.isHurried || this.#isBehind
  }

  /** A path is not to be announced any more, nor what only it reaches. */
  withdrawn(key: Uint8Array): void {
    if (this.#table === undefined || this.#table.has(key)) this.#isStale = true
  }

  /** Something came that it has not been told of. */
  missed(): void {
    this.#isBehind = true
    this.#isStale = true
  }

  /** Goes on until the call is aborted, and then throws its reason. */
  async run(call: Call): Promise<void> {
    const { clock, router, log } = this.#components
    for (;;) {
      const nowMs = clock.now()
      if (this.#isBehind || isOutgrown(this.#toldReach, router.reach)) this.#beginAnew(nowMs)
      const waitMs = router.reach === 0 ? LOOK_MS : stepDueMs(this.#round, this.#republishMs, nowMs)
      if (waitMs > 0) {
        await clock.sleep(Math.min(waitMs, LOOK_MS), call)
        continue
      }
      try {
        await this.#step(call)
      } catch (error) {
        call.signal.throwIfAborted()
        log.error('going through the store failed', { error })
        await clock.sleep(FAILED_MS, call)
      }
    }
  }

  #beginAnew(nowMs: number): void {
    this.#isBehind = false
    this.#round = firstRound(nowMs)
    this.#table = undefined
    this.#toldReach = this.#components.router.reach
  }

  async #step(call: Call): Promise<void> {
    const { clock, teller, router } = this.#components
    if (this.#table === undefined || this.#isStale) {
      const restMs = this.#table === undefined ? 0 : this.#restUntilMs - clock.now()
      if (restMs > 0) return await clock.sleep(Math.min(restMs, LOOK_MS), call)
      this.#table = await this.#build(this.#round.what, call)
      if (this.#round.step === 0) this.#round = cutFor(this.#round, this.#table.size)
    }
    const round = this.#round
    this.#toldReach ||= router.reach
    const { from, to } = placesOf(round)
    const wanted = (keys: readonly Uint8Array[]) => (this.#isStale ? [] : keys)
    const ofBurst = round.what === 'roots' ? ROOTS_RESERVE_BYTES : CONTENT_RESERVE_BYTES
    const reserve = round.isHurried ? ofBurst : 0
    await teller.tell({ keys: this.#table.between(from, to), reserve, wanted }, call)
    if (this.#isStale || this.#isBehind) return // this step once more
    this.#round = afterStep(round, this.#most, clock.now())
    if (this.#round.step === 0) this.#table = undefined
  }

  /** Goes through the store for all keys that are to be announced. */
  async #build(what: Round['what'], call: Call): Promise<KeyTable> {
    const { pathInfos, castore, share, clock, log } = this.#components
    const begunMs = clock.now()
    this.#isStale = false
    const table = new KeyTable()
    const add = (key: Uint8Array): boolean => !table.isFull && table.add(key)
    // The names first: where not all finds room, a path is found by them, and the rest by the path.
    for await (const pathInfo of pathInfos.list(call)) {
      if (share.shares(pathInfo)) add(rootKeys(pathInfo)[0]!)
    }
    for await (const pathInfo of pathInfos.list(call)) {
      if (!share.shares(pathInfo)) continue
      if (what === 'roots') rootKeys(pathInfo).forEach(add)
      else await drained(reachedKeys(castore, pathInfo.node, add, call))
    }
    if (table.isFull) log.warn('not everything is announced', { keys: table.size })
    this.#restUntilMs = clock.now() + REST_RATIO * (clock.now() - begunMs)
    return table.sort()
  }
}

async function drained(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}
