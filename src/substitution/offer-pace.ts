import { type Call, narrowedCall, OVER } from '../foundation/call.ts'
import { type Clock, DeadlineError } from '../foundation/clock.ts'
import type { FetchProgress } from './fetch-progress.ts'

/**
 * How long nothing may come of content that others have as well, in milliseconds, before it is had
 * from them. An honest peer answers in a fraction of that; a disk that has to spin up takes longer,
 * and is waited for where nobody else has the path.
 */
export const OFFER_STALL_MS = 1_500

/** Fewer bytes than these in that time are nothing. */
export const OFFER_STALL_BYTES = 16 * 1024

/**
 * How often it is looked whether anything has come, in milliseconds. What is counted are looks, not
 * time: where this machine is too busy to look, it may be too busy to take what comes.
 */
export const OFFER_LOOK_MS = 250

/**
 * How often it is no reason to have content from others that nothing comes of it: where other
 * content comes from there, the line is full, and with everybody's turning to a cache it would not
 * get emptier.
 */
export const EXCUSES_MAX = 9

/** How far a fetch has got. */
export type ComeSoFar = Pick<
  FetchProgress,
  'bytesFetched' | 'directoriesFetched' | 'bytesTotal' | 'bytesDone'
>

/** For how long a fetch has brought nothing, and how far it was then. */
export interface Stillness {
  readonly since: ComeSoFar
  readonly ms: number
}

/** How a fetch does, after one more look of {@link OFFER_LOOK_MS}. */
export function lookedAt({ since, ms }: Stillness, now: ComeSoFar): Stillness {
  const hasCome =
    now.directoriesFetched > since.directoriesFetched ||
    now.bytesFetched - since.bytesFetched >= OFFER_STALL_BYTES ||
    now.bytesDone > since.bytesDone
  // All is here: what is left to do is for this machine.
  const isWhole = now.bytesTotal > 0 && now.bytesDone >= now.bytesTotal
  return hasCome || isWhole ? { since: now, ms: 0 } : { since, ms: ms + OFFER_LOOK_MS }
}

/** Whether it is time to look for another offer. */
export function hasStalled({ ms }: Stillness): boolean {
  return ms >= OFFER_STALL_MS
}

/** Whom it tells, and whom it asks. */
export interface OfferPaceInit {
  /** Told each time when nothing comes any more; says whether other content comes from there. */
  readonly onStall: () => boolean
  /** Whether somebody else has the path; may take a while. */
  readonly hasAnother: (call: Call) => Promise<boolean>
}

/** Ends work that brings nothing for a while, where somebody else has the same. */
export class OfferPace {
  readonly #clock: Clock
  readonly #progress: FetchProgress
  readonly #init: OfferPaceInit

  constructor(components: { clock: Clock; progress: FetchProgress }, init: OfferPaceInit) {
    this.#clock = components.clock
    this.#progress = components.progress
    this.#init = init
  }

  /** Says whether the work was done; it was ended if not. @throws as the work */
  async during(work: (timed: Call) => Promise<void>, call: Call): Promise<boolean> {
    const over = new AbortController()
    const tooSlow = new AbortController()
    const watching = this.#watch(tooSlow, narrowedCall(call, over.signal))
    watching.catch(() => undefined) // cut short below, or nobody else could be looked for
    try {
      await work(narrowedCall(call, tooSlow.signal))
      return true
    } catch (error) {
      call.signal.throwIfAborted()
      if (tooSlow.signal.aborted) return false
      throw error
    } finally {
      over.abort(OVER)
      await watching.catch(() => undefined)
    }
  }

  async #watch(tooSlow: AbortController, call: Call): Promise<void> {
    let excuses = 0
    let excused: Stillness = { since: this.#comeSoFar, ms: 0 }
    for (;;) {
      const still = await this.#stalled(call)
      excused = lookedAt(excused, still.since)
      if (excused.ms === 0) excuses = 0 // something had come of it meanwhile
      if (this.#init.onStall() && ++excuses <= EXCUSES_MAX) continue
      if (!(await this.#init.hasAnother(call))) return // there is nothing to do but to wait
      // It may have gone on while others were looked for.
      if (!hasStalled(lookedAt(still, this.#comeSoFar))) continue
      tooSlow.abort(new DeadlineError('waiting for anything of an offer', OFFER_STALL_MS))
      return
    }
  }

  /** Resolves once it has stalled. */
  async #stalled(call: Call): Promise<Stillness> {
    let stillness: Stillness = { since: this.#comeSoFar, ms: 0 }
    while (!hasStalled(stillness)) {
      await this.#clock.sleep(OFFER_LOOK_MS, call)
      stillness = lookedAt(stillness, this.#comeSoFar)
    }
    return stillness
  }

  get #comeSoFar(): ComeSoFar {
    const { bytesFetched, directoriesFetched, bytesTotal, bytesDone } = this.#progress
    return { bytesFetched, directoriesFetched, bytesTotal, bytesDone }
  }
}
