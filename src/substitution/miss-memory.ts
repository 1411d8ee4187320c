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
  readonly #misses = new Map<string, { readonly sinceMs: number; readonly untilMs: number }>()

  constructor(components: { clock: Clock }, init: { missMs?: number } = {}) {
    this.#clock = components.clock
    this.#missMs = init.missMs ?? MISS_MS
  }

  /** `sinceMs` is when asking began: what came later may have been missed. */
  remember(key: string, sinceMs: number = this.#clock.now()): void {
    const nowMs = this.#clock.now()
    this.#misses.delete(key) // to the end: the map is in the order of expiry
    this.#misses.set(key, { sinceMs, untilMs: nowMs + this.#missMs })
    for (const [oldest, { untilMs }] of this.#misses) {
      if (untilMs > nowMs && this.#misses.size <= MISSES_MAX) return
      this.#misses.delete(oldest)
    }
  }

  has(key: string): boolean {
    return this.sinceMs(key) !== undefined
  }

  /** When a path was last asked for that nobody had, in ms; undefined where that is not known. */
  sinceMs(key: string): number | undefined {
    const miss = this.#misses.get(key)
    if (miss === undefined) return undefined
    if (miss.untilMs > this.#clock.now()) return miss.sinceMs
    this.#misses.delete(key)
    return undefined
  }

  /** The path is worth asking for again. */
  forget(key: string): void {
    this.#misses.delete(key)
  }

  /** Something has changed, such as a new neighbour: every path is worth asking for again. */
  forgetAll(): void {
    this.#misses.clear()
  }
}
