import type { Call } from '../foundation/call.ts'
import type { PathInfo } from './path-info.ts'
import type { FinalClaim } from './trust-policy.ts'

/** Where PathInfos can be looked up, by the 20-byte hash part of the store path. */
export interface PathInfoSource {
  get(hash: Uint8Array, call: Call): Promise<PathInfo | undefined>
}

/**
 * What happened in a store: a path came or changed; one went, by the hash part of its name; or more
 * than could be told one by one.
 */
export type StoreEvent =
  | { readonly type: 'put'; readonly pathInfo: PathInfo }
  | { readonly type: 'removed'; readonly hash: Uint8Array }
  | { readonly type: 'missed' }

/** Where PathInfos are kept, of content that is kept beside them. */
export interface PathInfoStore extends PathInfoSource {
  /**
   * The one commit point: when it resolves, the paths and all put into the castore before are on
   * stable storage, and readers see them.
   */
  put(claims: readonly FinalClaim[], call: Call): Promise<void>

  /** All PathInfos, in the order of their hash parts. */
  list(call: Call): AsyncIterable<PathInfo>
}

/** A store of this node's own, which knows all that happens in it. */
export interface LocalPathInfoStore extends PathInfoStore {
  /** What happens from now on. A slow reader gets 'missed' instead of an endless backlog. */
  changes(call: Call): AsyncIterable<StoreEvent>

  /** The hash parts of all paths, in their order; cheaper than their PathInfos. */
  hashes(call: Call): AsyncIterable<Uint8Array>

  /** Forgets paths, by the hash parts of their names; their content stays until it is collected. */
  remove(hashes: readonly Uint8Array[], call: Call): Promise<void>

  /** How many paths are held. */
  count(): number
}
