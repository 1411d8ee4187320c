import type { Clock } from '../../foundation/clock.ts'

/** How long neighbours may take to say whether they are at a path before one begins, in ms. */
export const SETTLE_MS = 30

/** How long a neighbour may take that is asked for the first time, in ms: channels open slowly. */
export const FIRST_ANSWER_MS = 400

/** How many times the usual time of an answer is waited for, up to {@link FIRST_ANSWER_MS}. */
const SETTLE_RATIO = 4

/** What of an answer's time goes into the usual time. */
const ANSWER_WEIGHT = 0.1

/** How many neighbours are remembered to have been asked. */
export const ASKED_MAX = 1_024

/**
 * How long neighbours take to say whether they are at a path. Where all are busy, as machines are
 * that begin the same update at once, a node that waits for no longer than on a quiet day pulls
 * what others are pulling.
 */
export class AnswerTimes {
  readonly #clock: Clock
  /** When each neighbour was first asked, those first who were asked first. */
  readonly #firstAsked = new Map<string, number>()
  #usualMs = 0

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Until when a neighbour's answer is waited for that is asked now, in ms on the clock. */
  patientUntilMs(peer: string): number {
    const waitMs = Math.min(Math.max(SETTLE_MS, SETTLE_RATIO * this.#usualMs), FIRST_ANSWER_MS)
    return Math.max(this.#clock.now() + waitMs, this.#firstAskedMs(peer) + FIRST_ANSWER_MS)
  }

  /** A neighbour has answered that was asked at a time on the clock. */
  answered(askedAtMs: number): void {
    this.#usualMs += ANSWER_WEIGHT * (this.#clock.now() - askedAtMs - this.#usualMs)
  }

  #firstAskedMs(peer: string): number {
    const known = this.#firstAsked.get(peer)
    if (known !== undefined) return known
    const nowMs = this.#clock.now()
    this.#firstAsked.set(peer, nowMs)
    const [oldest] = this.#firstAsked.keys()
    if (this.#firstAsked.size > ASKED_MAX && oldest !== undefined) this.#firstAsked.delete(oldest)
    return nowMs
  }
}
