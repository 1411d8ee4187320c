import type { Clock } from './clock.ts'

/**
 * Lets so many things happen at once after a quiet time, and so many a second from then on (a token
 * bucket).
 */
export class Allowance {
  readonly #clock: Clock
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #countedMs: number

  constructor(components: { clock: Clock }, init: { burst: number; perSecond: number }) {
    this.#clock = components.clock
    this.#burst = init.burst
    this.#perSecond = init.perSecond
    this.#left = init.burst
    this.#countedMs = components.clock.now()
  }

  /** Whether one more may happen now; if so, it is counted. */
  take(): boolean {
    if (this.isSpent()) return false
    this.#left--
    return true
  }

  /** Whether nothing more may happen just now. */
  isSpent(): boolean {
    const nowMs = this.#clock.now()
    const earned = ((nowMs - this.#countedMs) / 1000) * this.#perSecond
    this.#left = Math.min(this.#left + earned, this.#burst)
    this.#countedMs = nowMs
    return this.#left < 1
  }
}
