import type { Clock } from '../../foundation/clock.ts'

/**
 * How much of short NARs a node pulls at once where others are at the same paths, in bytes: enough
 * to keep its part of the line to a cache busy, and so little that each path is there soon, for all
 * to have. Long ones do not wait: they take the longest, and others have them while they come.
 */
export const PLACE_BYTES = 256 * 1024

/** How long a path may wait for a place, in milliseconds: those who share the work may be slow. */
export const PLACE_WAIT_MS = 4_000

/** For how long others count as being at it after they last were, in milliseconds. */
export const SHARED_MS = 10_000

/**
 * The places of a node that pulls from caches together with others. Without them, who is a moment
 * ahead of the others would have begun to pull all that comes next by the time that they ask for
 * it, and would have to give it all to all of them. A node that is alone has as many as it wants.
 */
export class PullPlaces {
  readonly #clock: Clock
  #takenBytes = 0
  #sharedAtMs = Number.NEGATIVE_INFINITY
  #freed = Promise.withResolvers<void>()

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /** Resolves when a place is given back. */
  get freed(): Promise<void> {
    return this.#freed.promise
  }

  /** Others want what this node wants. */
  shared(): void {
    this.#sharedAtMs = this.#clock.now()
  }

  /** How much longer a path waits for a place that has waited since a time on the clock, in ms. */
  waitMs(sinceMs: number): number {
    const nowMs = this.#clock.now()
    const isShared = nowMs - this.#sharedAtMs < SHARED_MS
    if (!isShared || this.#takenBytes < PLACE_BYTES) return 0
    return Math.max(0, sinceMs + PLACE_WAIT_MS - nowMs)
  }

  /** Takes a place for so much; disposing of it gives it back. */
  take(bytes: number): Disposable {
    this.#takenBytes += bytes
    let isTaken = true
    const giveBack = (): void => {
      if (!isTaken) return
      isTaken = false
      this.#takenBytes -= bytes
      const freed = this.#freed
      this.#freed = Promise.withResolvers<void>()
      freed.resolve()
    }
    return { [Symbol.dispose]: giveBack }
  }
}
