import type { Clock } from '../foundation/clock.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { TrustedClaim, TrustedNar } from '../pathinfo/trust-policy.ts'
import type { ContentOffer, NarOffer } from './path-source.ts'

/** For how long an offer that was described is kept for the fetch that mostly follows. */
export const OFFER_MS = 60_000

/** How many offers that were described are kept. */
export const OFFERS_MAX = 16_384

/** An offer that somebody trusted vouches for. */
export type Candidate =
  | { readonly kind: 'content'; readonly offer: ContentOffer; readonly claim: TrustedClaim }
  | { readonly kind: 'nar'; readonly offer: NarOffer; readonly nar: TrustedNar }

/** What is said of the path that a candidate is about. */
export function factsOfCandidate(candidate: Candidate): PathFacts {
  return candidate.kind === 'nar' ? candidate.nar.facts : candidate.claim.pathInfo
}

/** Keeps offers that were described, for the fetch that mostly follows. */
export class KnownOffers {
  readonly #clock: Clock
  readonly #offers = new Map<string, { readonly candidate: Candidate; readonly untilMs: number }>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  get(key: string): Candidate | undefined {
    const known = this.#offers.get(key)
    if (known === undefined) return undefined
    if (known.untilMs > this.#clock.now()) return known.candidate
    this.#offers.delete(key)
    return undefined
  }

  remember(key: string, candidate: Candidate): void {
    const nowMs = this.#clock.now()
    this.#offers.delete(key) // to the end: the map is in the order of expiry
    this.#offers.set(key, { candidate, untilMs: nowMs + OFFER_MS })
    for (const [oldest, { untilMs }] of this.#offers) {
      if (untilMs > nowMs && this.#offers.size <= OFFERS_MAX) return
      this.#offers.delete(oldest)
    }
  }

  forget(key: string): void {
    this.#offers.delete(key)
  }
}
