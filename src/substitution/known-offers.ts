import type { Clock } from '../foundation/clock.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'
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
export function knownOffers(components: { readonly clock: Clock }): ExpiringMap<Candidate> {
  return new ExpiringMap(components, { keptMs: OFFER_MS, weightMax: OFFERS_MAX })
}
