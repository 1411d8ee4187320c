import type { Clock } from '../foundation/clock.ts'

/** For how long a path that nobody had is not asked for again. */
export const MISS_MS = 10_000

/** How many misses are remembered; a system closure asks for thousands at once. */
export const MISSES_MAX = 65_536

/**
 * Remembers for a short while which paths nobody had, so that a client that asks for thousands does
 * not make the node ask its neighbours for each of them again and again.
 */
export class MissMemory {
  readonly #clock: Clock
  readonly #missMs: number
  readonly #until = new Map<string, number>()

  constructor(components: { clock: Clock }, init: { missMs?: number } = {}) {
    this.#clock = components.clock
    this.#missMs = init.missMs ?? MISS_MS
  }

  remember(key: string): void {
    const nowMs = this.#clock.now()
    this.#until.delete(key) // to the end: the map is in the order of expiry
    this.#until.set(key, nowMs + this.#missMs)
    for (const [oldest, until] of this.#until) {
      if (until > nowMs && this.#until.size <= MISSES_MAX) return
      this.#until.delete(oldest)
    }
  }

  has(key: string): boolean {
    const until = this.#until.get(key)
    if (until === undefined) return false
    if (until > this.#clock.now()) return true
    this.#until.delete(key)
    return false
  }

  /** Something has changed, such as a new neighbour: every path is worth asking for again. */
  forgetAll(): void {
    this.#until.clear()
  }
}
