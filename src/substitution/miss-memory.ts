import type { Clock } from '../foundation/clock.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'

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
  /** When asking began. */
  readonly #misses: ExpiringMap<number>

  constructor(components: { clock: Clock }, init: { missMs?: number } = {}) {
    this.#clock = components.clock
    const keptMs = init.missMs ?? MISS_MS
    this.#misses = new ExpiringMap(components, { keptMs, weightMax: MISSES_MAX })
  }

  /** `sinceMs` is when asking began: what came later may have been missed. */
  remember(key: string, sinceMs: number = this.#clock.now()): void {
    this.#misses.set(key, sinceMs)
  }

  has(key: string): boolean {
    return this.#misses.get(key) !== undefined
  }

  /** When a path was last asked for that nobody had, in ms; undefined where that is not known. */
  sinceMs(key: string): number | undefined {
    return this.#misses.get(key)
  }

  /** Something has changed, such as a new neighbour: every path is worth asking for again. */
  forgetAll(): void {
    this.#misses.clear()
  }
}
