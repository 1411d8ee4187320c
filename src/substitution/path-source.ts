import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import type { Claim } from '../pathinfo/claim.ts'
import type { FetchProgress } from './fetch-progress.ts'

/** Why an offer was turned down, so that its source can judge who made it. */
export type OfferFlaw =
  /** Nobody trusted vouches for the claim. */
  | 'untrusted'
  /** A signature names a trusted key that did not make it. */
  | 'forged'
  /** The content is not what the signed NAR hash says. */
  | 'nar-mismatch'

/** A claim about a path, and the means to bring its content here. */
export interface Offer {
  readonly claim: Claim
  /**
   * Brings the whole content below the claim's root into the castore, all of it checked against
   * its digests; what is held already is not fetched again. Costly.
   * @throws whatever kept it from that
   */
  fetch(into: Castore, progress: FetchProgress, call: Call): Promise<void>
  /** Tells the source that the offer was turned down. */
  turnDown(flaw: OfferFlaw): void
}

/** The port to where paths may come from: neighbours, the DHT, upstream caches. */
export interface PathSource {
  readonly name: string
  /**
   * Asks around for a path by the hash part of its name. Cheap: no content is fetched. Yields each
   * distinct claim once, as it comes in; nothing where nobody has the path.
   */
  find(hash: Uint8Array, call: Call): AsyncIterable<Offer>
  /** Whether a path that nobody had may have come to somebody since a moment, in ms. */
  hasNews?(hash: Uint8Array, sinceMs: number): boolean
}
