import type { Call } from '../../foundation/call.ts'
import { type Clock, withDeadline } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import { KEYS_PER_STREAM_MAX } from '../routing/dht-router.ts'
import type { Router } from '../routing/router.ts'
import { ByteBudget } from './byte-budget.ts'

/** What announcing may send, in bytes a second, after the burst. */
export const ANNOUNCE_BYTES_PER_SECOND = 20_000

/**
 * What announcing may send in one burst after a quiet time, in bytes: what is put in is to be found
 * within a second or two, and each of its keys takes 2 kB where 20 servers are told.
 */
export const ANNOUNCE_BURST_BYTES = 4_000_000

/**
 * How much of the burst may go to the digests below a root, in bytes. They are for who looks for a
 * single chunk; a path is found by its root. Told of thousands at once, in a small network where
 * each costs little, all nodes together are busy with them just when the path spreads.
 */
export const CONTENT_BURST_BYTES = 250_000

/** What is left of the burst to roots by who announces what is below them, in bytes. */
export const CONTENT_RESERVE_BYTES = ANNOUNCE_BURST_BYTES - CONTENT_BURST_BYTES

/** How long one announcement may take, a lookup and a stream to each server included. */
export const ANNOUNCEMENT_MS = 30_000

/** The wait before what could not be announced is tried again. */
export const RETRY_MS = 5_000

/** How often it is looked whether there is somebody to tell. */
export const LOOK_MS = 500

/** What is announced now, and for how long. */
export interface Telling {
  /** Keys in the order of the key space. */
  readonly keys: readonly Uint8Array[]
  /** What is left of the budget for others, in bytes. */
  readonly reserve?: number
  /** Which of the keys are still to be announced; asked again before each message. */
  readonly wanted: (keys: readonly Uint8Array[]) => readonly Uint8Array[]
}

/** Tells the network of keys, as fast as the budget lets it, and again where nobody listened. */
export class Teller {
  readonly #components: { readonly router: Router; readonly clock: Clock; readonly log: Log }
  readonly #budget: ByteBudget
  #announced = 0

  constructor(
    components: { router: Router; clock: Clock; log: Log },
    init: { bytesPerSecond?: number | undefined },
  ) {
    this.#components = components
    this.#budget = new ByteBudget(components, {
      burstBytes: ANNOUNCE_BURST_BYTES,
      bytesPerSecond: init.bytesPerSecond ?? ANNOUNCE_BYTES_PER_SECOND,
    })
  }

  /** How many keys were announced. */
  get announced(): number {
    return this.#announced
  }

  /** Resolves once all keys are announced that are wanted. @throws the signal's reason */
  async tell({ keys, reserve, wanted }: Telling, call: Call): Promise<void> {
    const { router, clock, log } = this.#components
    let rest = wanted(keys)
    while (rest.length > 0) {
      const waitMs = router.reach === 0 ? LOOK_MS : this.#budget.waitMs(reserve)
      if (waitMs > 0) {
        await clock.sleep(Math.min(waitMs, RETRY_MS), call)
        rest = wanted(rest)
        continue
      }
      const batch = rest.slice(0, KEYS_PER_STREAM_MAX)
      try {
        const done = await withDeadline(clock, ANNOUNCEMENT_MS, 'announcing', call, (timed) =>
          router.announce(batch, timed),
        )
        this.#budget.spend(done.bytes)
        this.#announced += done.keys
        rest = wanted(rest.slice(done.keys))
      } catch (error) {
        call.signal.throwIfAborted()
        log.debug('announcement failed', { keys: batch.length, error })
        await clock.sleep(RETRY_MS, call)
        rest = wanted(rest)
      }
    }
  }
}
