import type { Call } from './call.ts'
import type { Clock } from './clock.ts'

/** How much may go at once after a quiet time, in milliseconds of the rate. */
export const BURST_MS = 250

/**
 * Lets so many bytes a second pass. Who comes first goes first, so that those who each wait for one
 * piece at a time get equal shares.
 */
export class RateLimit {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  /** When all that was let pass will have gone by. */
  #busyUntilMs = 0

  constructor(components: { clock: Clock }, init: { readonly bytesPerSecond: number }) {
    this.#clock = components.clock
    this.#bytesPerMs = init.bytesPerSecond / 1000
  }

  /** Takes room for so many bytes; says how many milliseconds they have to wait for their turn. */
  take(bytes: number): number {
    const nowMs = this.#clock.now()
    const waitMs = Math.max(this.#busyUntilMs - nowMs - BURST_MS, 0)
    this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs) + bytes / this.#bytesPerMs
    return waitMs
  }

  /** Resolves when so many bytes may pass. @throws the signal's reason */
  async pass(bytes: number, call: Call): Promise<void> {
    const waitMs = this.take(bytes)
    if (waitMs > 0) await this.#clock.sleep(waitMs, call)
  }
}
