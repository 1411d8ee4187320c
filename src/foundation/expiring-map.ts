import type { Clock } from './clock.ts'

/** How long entries are kept, and how many. */
export interface ExpiringMapInit<V> {
  /** For how long an entry is kept after it was set, in milliseconds. */
  readonly keptMs: number
  /** How much all entries may weigh together; those that were set first go first. */
  readonly weightMax: number
  /** What an entry weighs; 1 by default, so that `weightMax` is how many there are. */
  readonly weigh?: (value: V) => number
}

interface Entry<V> {
  readonly value: V
  readonly untilMs: number
  readonly weight: number
}

/** A map by text whose entries go after a while, or when there are too many. */
export class ExpiringMap<V> {
  readonly #clock: Clock
  readonly #init: ExpiringMapInit<V>
  /** In the order of expiry. */
  readonly #entries = new Map<string, Entry<V>>()
  #weight = 0

  constructor(components: { readonly clock: Clock }, init: ExpiringMapInit<V>) {
    this.#clock = components.clock
    this.#init = init
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.untilMs > this.#clock.now()) return entry.value
    this.delete(key)
    return undefined
  }

  set(key: string, value: V): void {
    const { keptMs, weightMax, weigh } = this.#init
    const nowMs = this.#clock.now()
    const weight = weigh?.(value) ?? 1
    this.delete(key) // to the end
    this.#entries.set(key, { value, untilMs: nowMs + keptMs, weight })
    this.#weight += weight
    for (const [oldest, { untilMs }] of this.#entries) {
      if (untilMs > nowMs && this.#weight <= weightMax) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#weight = 0
  }
}
