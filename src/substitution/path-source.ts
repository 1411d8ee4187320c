import type { Castore } from '../castore/castore.ts'
import type { Directory } from '../castore/model/directory.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { PublicKey } from '../nix/key.ts'
import type { Claim } from '../pathinfo/claim.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { FetchProgress } from './fetch-progress.ts'

/** Why an offer was turned down, so that its source can judge who made it. */
export type OfferFlaw =
  /** Nobody trusted vouches for the claim. */
  | 'untrusted'
  /** A signature names a trusted key that did not make it. */
  | 'forged'
  /** The content is not what the signed NAR hash says. */
  | 'nar-mismatch'
  /** What is below the root that was named beside a NAR is not what the signed NAR hash says. */
  | 'false-root'

/** What else is known of a fetch of content. */
export interface OfferFetchInit {
  /**
   * Whether it is one path of many that each have come to another holder: short ones are then taken
   * from it alone, since to spread each among all who want it takes more words than content.
   */
  readonly isSpread?: boolean
}

interface Offered {
  /** Tells the source that the offer was turned down. */
  turnDown(flaw: OfferFlaw): void
}

/** A claim about a path and the root of its content, and the means to bring that here. */
export interface ContentOffer extends Offered {
  readonly kind: 'content'
  readonly claim: Claim
  /**
   * Whether all who would bring it have failed, or kept others waiting: whoever else has the path
   * is tried first.
   */
  readonly isDoubtful?: boolean
  /**
   * Brings the whole content below the claim's root into the castore, all of it checked against
   * its digests; what is held already is not fetched again. Costly.
   * @throws whatever kept it from that
   */
  fetch(into: Castore, progress: FetchProgress, call: Call, init?: OfferFetchInit): Promise<void>
  /**
   * Tells the source that nothing has come for a while, though it may yet. Says whether that is
   * because other content comes from there.
   */
  tooSlow?(): boolean
}

/**
 * What a cache says of a path, and its NAR: the root of the content is not known before, unless the
 * cache names one.
 */
export interface NarOffer extends Offered {
  readonly kind: 'nar'
  readonly facts: PathFacts
  /** Keys that count for what this cache says, besides those that always do. */
  readonly keys: readonly PublicKey[]
  /** Whether neighbours who want the path as well share the work of bringing it here. */
  readonly isShared: boolean
  /**
   * The root of the content, as the cache says. No signature speaks for it: by it content may be
   * fetched, which proves to be the path's by the signed NAR hash or not at all.
   */
  readonly root?: Node | undefined
  /**
   * The NAR, decompressed, from its beginning; nobody has checked it. Costly.
   * @throws whatever kept it from coming whole
   */
  nar(progress: FetchProgress, call: Call): AsyncIterable<Uint8Array>
}

export type Offer = ContentOffer | NarOffer

/** What is to be told of the fetch of a root that nobody vouches for. */
export interface RootListener {
  readonly progress: FetchProgress
  /**
   * Takes all Directories below the root, the root first, before any blob is fetched; none where
   * the root is a file. @throws to refuse what they lead to
   */
  onDirectories(directories: readonly Directory[]): Promise<void>
}

/** Content below a root that somebody has, and the means to bring it here. */
export interface RootOffer {
  /**
   * Brings all of it into the castore, checked against its digests; what is held already is not
   * fetched again. @throws whatever kept it from that, or what the listener throws
   */
  fetch(into: Castore, listener: RootListener, call: Call): Promise<void>
  /** Tells the source that it does not come fast enough, before it is given up. */
  tooSlow?(): void
}

/** The port to where paths may come from: neighbours, the DHT, upstream caches. */
export interface PathSource {
  readonly name: string
  /** As Nix has it: a lower number is asked first. */
  readonly priority: number
  /** How long `find` takes at the most, in ms, where it keeps to limits of its own. */
  readonly limitMs?: number
  /** Whether those whom it asks are those with whom pulls from caches are shared. */
  readonly sharesPulls?: boolean
  /** When content of it came last, in ms on the clock: it is alive, however slow its answers. */
  readonly deliveredAtMs?: number | undefined
  /** Whether whatever it could offer now is likely to be doubtful: others do not wait for it. */
  readonly isDoubtful?: boolean
  /**
   * Asks around for a path by the hash part of its name. Cheap: no content is fetched. Yields each
   * distinct claim once, as it comes in; nothing where nobody has the path.
   */
  find(hash: Uint8Array, call: Call): AsyncIterable<Offer>
  /**
   * Looks for somebody who has a root, of a NAR of so many bytes. Cheap: no content is fetched.
   * Undefined where nobody is found; left out by a source that knows nothing of roots.
   */
  findRoot?(root: Node, narSize: number, call: Call): Promise<RootOffer | undefined>
  /** Whether a path that nobody had may have come to somebody since a moment, in ms. */
  hasNews?(hash: Uint8Array, sinceMs: number): boolean
  /** Whether somebody who has brought much before most likely has a path. */
  isNamed?(hash: Uint8Array): boolean
  /**
   * Whether it goes on looking for a path that it was asked for, or has found something since: who
   * asks again is given that, and waits for those alone who are likely to answer.
   */
  isSearching?(hash: Uint8Array): boolean
  /** Whether the source can be reached at all; one without it is always worth asking. @throws */
  probe?(call: Call): Promise<void>
}

/** Whether whoever else has the path is tried first. */
export function isDoubtful(offer: Offer): boolean {
  return offer.kind === 'content' && offer.isDoubtful === true
}

/** What is said of the path that is offered. */
export function factsOf(offer: Offer): PathFacts {
  return offer.kind === 'nar' ? offer.facts : offer.claim.pathInfo
}
