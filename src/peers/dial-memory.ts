import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../foundation/clock.ts'

/** For how long an address where nobody answered is not dialled again, at first. */
export const SILENT_MS = 2_000

/** The longest time for which an address is not dialled; it doubles with each failure. */
export const SILENT_MS_MAX = 60_000

/** How many addresses where nobody answered are remembered. */
export const ADDRESSES_MAX = 4_096

interface Failure {
  readonly times: number
  readonly until: number
}

/**
 * Remembers addresses where nobody answered. The DHT goes on naming peers that have left, in every
 * lookup anew; each would be dialled every time.
 */
export class DialMemory {
  readonly #clock: Clock
  readonly #failures = new Map<string, Failure>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  failed(address: Multiaddr): void {
    const key = keyOf(address)
    const times = (this.#failures.get(key)?.times ?? 0) + 1
    const silentMs = Math.min(SILENT_MS * 2 ** (times - 1), SILENT_MS_MAX)
    this.#failures.delete(key) // to the end: the oldest failure is forgotten first
    this.#failures.set(key, { times, until: this.#clock.now() + silentMs })
    if (this.#failures.size <= ADDRESSES_MAX) return
    const oldest = this.#failures.keys().next().value
    if (oldest !== undefined) this.#failures.delete(oldest)
  }

  /** Somebody answers there, or there is news that somebody does. */
  forget(address: Multiaddr): void {
    this.#failures.delete(keyOf(address))
  }

  /** Whether dialling would be in vain, as far as can be told. */
  isInVain(address: Multiaddr): boolean {
    const failure = this.#failures.get(keyOf(address))
    return failure !== undefined && failure.until > this.#clock.now()
  }
}

/** Where the address is, whoever is expected there. */
function keyOf(address: Multiaddr): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, '')
}
