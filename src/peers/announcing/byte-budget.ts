import type { Clock } from '../../foundation/clock.ts'

/**
 * Bytes that may be spent: so many at once after a quiet time, and so many a second from then on (a
 * token bucket). What a thing costs is known only when it is done, so it may run into debt, which
 * is paid back before anything else is begun.
 */
export class ByteBudget {
  readonly #clock: Clock
  readonly #burstBytes: number
  readonly #bytesPerSecond: number
  #left: number
  #countedMs: number

  constructor(components: { clock: Clock }, init: { burstBytes: number; bytesPerSecond: number }) {
    this.#clock = components.clock
    this.#burstBytes = init.burstBytes
    this.#bytesPerSecond = init.bytesPerSecond
    this.#left = init.burstBytes
    this.#countedMs = components.clock.now()
  }

  spend(bytes: number): void {
    this.#earn()
    this.#left -= bytes
  }

  /** Milliseconds until more than `reserve` bytes are there to be spent; 0 where they are. */
  waitMs(reserve = 0): number {
    this.#earn()
    if (this.#left > reserve) return 0
    return Math.ceil(((reserve - this.#left + 1) / this.#bytesPerSecond) * 1000)
  }

  #earn(): void {
    const nowMs = this.#clock.now()
    const earned = ((nowMs - this.#countedMs) / 1000) * this.#bytesPerSecond
    this.#left = Math.min(this.#left + earned, this.#burstBytes)
    this.#countedMs = nowMs
  }
}
