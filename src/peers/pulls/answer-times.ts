import type { Clock } from '../../foundation/clock.ts'
import type { NeighbourFilters } from '../filters/neighbour-filters.ts'

/** How long neighbours may take to say whether they are at a path before one begins, in ms. */
export const SETTLE_MS = 30

/** How long a neighbour may take that has never answered, in ms: channels open slowly. */
export const FIRST_ANSWER_MS = 400

/** How long one may take that is known to be there, in ms: it may be busy with others. */
export const ANSWER_MS_MAX = 1_000

/** How many times its usual time a neighbour is waited for, up to {@link ANSWER_MS_MAX}. */
const SETTLE_RATIO = 4

/** What of an answer's time goes into the usual time. */
const ANSWER_WEIGHT = 0.3

/** How many neighbours are remembered to have been asked. */
export const ASKED_MAX = 1_024

/** What it looks at. */
export interface AnswerTimesComponents {
  readonly clock: Clock
  /** Who has told what it shares: it is there, and answers in the end. */
  readonly filters?: Pick<NeighbourFilters, 'has'>
}

/** What is known of a neighbour. */
interface Asked {
  readonly firstMs: number
  /** What it usually takes, in milliseconds; undefined before its first answer. */
  usualMs: number | undefined
  /** Since when it leaves questions unanswered. */
  owingSinceMs: number | undefined
}

/**
 * How long each neighbour takes to say whether it is at a path. Where all are busy, as machines are
 * that begin the same update at once, a node that waits for no longer than on a quiet day pulls
 * what others are pulling.
 */
export class AnswerTimes {
  readonly #clock: Clock
  readonly #filters: Pick<NeighbourFilters, 'has'> | undefined
  /** Those first who were asked first. */
  readonly #asked = new Map<string, Asked>()

  constructor(components: AnswerTimesComponents) {
    this.#clock = components.clock
    this.#filters = components.filters
  }

  /**
   * Until when a neighbour's answer is waited for that is asked now, in ms on the clock. Who has
   * left questions unanswered for longer than that is not waited for.
   */
  patientUntilMs(peer: string): number {
    const nowMs = this.#clock.now()
    const asked = this.#remembered(peer, nowMs)
    asked.owingSinceMs ??= nowMs
    const owingMs = nowMs - asked.owingSinceMs
    const isKnown = asked.usualMs !== undefined || this.#filters?.has(peer) === true
    const mostMs = isKnown ? ANSWER_MS_MAX : FIRST_ANSWER_MS
    if (owingMs > mostMs) return nowMs
    // Who owes an answer already will take no less for the next one.
    const likelyMs = SETTLE_RATIO * Math.max(asked.usualMs ?? 0, owingMs)
    const waitMs = Math.min(Math.max(SETTLE_MS, likelyMs), mostMs)
    return Math.max(nowMs + waitMs, asked.firstMs + FIRST_ANSWER_MS)
  }

  /** A neighbour has answered that was asked at a time on the clock. */
  answered(peer: string, askedAtMs: number): void {
    const asked = this.#remembered(peer, askedAtMs)
    const tookMs = this.#clock.now() - askedAtMs
    const usualMs = asked.usualMs ?? tookMs
    asked.usualMs = usualMs + ANSWER_WEIGHT * (tookMs - usualMs)
    asked.owingSinceMs = undefined
  }

  #remembered(peer: string, firstMs: number): Asked {
    const known = this.#asked.get(peer)
    if (known !== undefined) return known
    const asked = { firstMs, usualMs: undefined, owingSinceMs: undefined }
    this.#asked.set(peer, asked)
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > ASKED_MAX && oldest !== undefined) this.#asked.delete(oldest)
    return asked
  }
}
