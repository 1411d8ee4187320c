import type { PathInfo } from './path-info.ts'

/**
 * Where a claim comes from: this machine's owner, whose word counts, or anyone else, whose word
 * counts for nothing without a trusted signature.
 */
export type ClaimOrigin = 'owner' | 'stranger'

/** What someone says about a store path, before anybody has looked at who vouches for it. */
export interface Claim {
  readonly pathInfo: PathInfo
  readonly origin: ClaimOrigin
}
