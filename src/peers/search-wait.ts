import type { Clock } from '../foundation/clock.ts'

/**
 * How long who asks for a path waits for the DHT at the most, in milliseconds from the question on.
 * The search goes on, and who asks again is given what it has found; but Nix does not ask again for
 * an hour, so that a search is waited for to its usual end.
 */
export const SEARCH_WAIT_MS = 2_000

/**
 * How long after many waits in vain, in milliseconds: each halves the next one, until a search
 * finds somebody. Nix asks for thousands of paths that nobody has.
 */
export const SEARCH_WAIT_MIN_MS = 125

/** For how long a wait in vain shortens those after it, in milliseconds. */
export const VAIN_WAIT_MS = 60_000

/** How long a search of the DHT is waited for, by what came of those before it. */
export class SearchWait {
  readonly #clock: Clock
  #ms = SEARCH_WAIT_MS
  #vainAtMs = 0

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** How long the next one is waited for, in milliseconds. */
  get ms(): number {
    return this.#clock.now() - this.#vainAtMs < VAIN_WAIT_MS ? this.#ms : SEARCH_WAIT_MS
  }

  /** One was still under way when whoever had asked was told that there is nothing. */
  wasInVain(): void {
    this.#ms = Math.max(this.ms / 2, SEARCH_WAIT_MIN_MS)
    this.#vainAtMs = this.#clock.now()
  }

  /** One has found somebody. */
  hasFound(): void {
    this.#ms = SEARCH_WAIT_MS
  }
}
