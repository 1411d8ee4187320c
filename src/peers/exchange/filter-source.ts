import type { Call } from '../../foundation/call.ts'
import type { FilterNews } from '../filters/filter-news.ts'

/** Which paths are shared here, for those who want to know without asking for each. */
export interface FilterSource {
  /** A filter under a peer's key, and then what is new; nothing where there is no room for one. */
  watch(peer: string, key: Uint8Array, call: Call): AsyncIterable<FilterNews>
}

/** Tells nobody. */
export const NO_FILTERS: FilterSource = { watch: async function* () {} }
