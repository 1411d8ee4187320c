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
  /** Since when neighbours have left questions unanswered, the longest first. */
  readonly #owing = new Map<string, number>()
  #usualMs = 0

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /**
   * Until when a neighbour's answer is waited for that is asked now, in ms on the clock. Who has
   * left questions unanswered is not waited for.
   */
  patientUntilMs(peer: string): number {
    const nowMs = this.#clock.now()
    const owingSinceMs = setDefault(this.#owing, peer, nowMs)
    if (nowMs - owingSinceMs > FIRST_ANSWER_MS) return nowMs
    const waitMs = Math.min(Math.max(SETTLE_MS, SETTLE_RATIO * this.#usualMs), FIRST_ANSWER_MS)
    const firstMs = setDefault(this.#firstAsked, peer, nowMs)
    return Math.max(nowMs + waitMs, firstMs + FIRST_ANSWER_MS)
  }

  /** A neighbour has answered that was asked at a time on the clock. */
  answered(peer: string, askedAtMs: number): void {
    this.#owing.delete(peer)
    this.#usualMs += ANSWER_WEIGHT * (this.#clock.now() - askedAtMs - this.#usualMs)
  }
}

/** What a map has, or has from now on; of too many the first goes. */
function setDefault(map: Map<string, number>, key: string, value: number): number {
  const known = map.get(key)
  if (known !== undefined) return known
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > ASKED_MAX && oldest !== undefined) map.delete(oldest)
  return value
}
