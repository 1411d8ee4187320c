import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { PullNews } from '../pulls/pull-news.ts'

/** How many pulls one channel may watch at once. */
export const PULL_WATCHES_MAX = 64

/** What is pulled here from caches, for those who want the same. */
export interface PullSource {
  /**
   * What this node does about a path, and then what is new, as long as it does something about it;
   * nothing where it does not want it, or says so to nobody.
   */
  watch(peer: string, name: Digest, call: Call): AsyncIterable<PullNews>
}

/** Tells nobody. */
export const NO_PULLS: PullSource = { watch: async function* () {} }
