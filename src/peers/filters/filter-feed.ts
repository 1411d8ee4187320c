import { capacityOf } from './bloom-filter.ts'
import { addedMax } from './filter-copy.ts'
import type { SharedPathsWatcher } from './shared-paths.ts'

/** How many paths that came wait to be told to one peer; beyond that it gets a new snapshot. */
export const FEED_PATHS_MAX = 16_384

/** How many paths may go, beside an eighth of all, until there is a new snapshot. */
const GONE_MIN = 1_024

/** What one peer has not been told since its last snapshot. */
export class FilterFeed implements SharedPathsWatcher {
  #bytes = 0
  #waiting: Uint8Array[] = []
  #told = 0
  #gone = 0
  #isStale = false
  #changed = Promise.withResolvers<void>()

  /** Resolves when there is something to tell, or a new snapshot may be due. */
  get news(): Promise<void> {
    return this.#changed.promise
  }

  /** A snapshot is made from what there is now, for a filter of so many bytes. */
  begin(bytes: number): void {
    this.#bytes = bytes
    this.#waiting = []
    this.#told = 0
    this.#gone = 0
    this.#isStale = false
    this.#changed = Promise.withResolvers<void>()
  }

  added(hash: Uint8Array): void {
    if (this.#waiting.length + this.#told >= addedMax(this.#bytes)) this.#isStale = true
    else if (this.#waiting.length >= FEED_PATHS_MAX) this.#isStale = true
    else this.#waiting.push(Uint8Array.from(hash))
    this.#changed.resolve()
  }

  removed(isTakenBack: boolean): void {
    this.#gone++
    if (!isTakenBack) return
    this.#isStale = true
    this.#changed.resolve()
  }

  renewed(): void {
    this.#isStale = true
    this.#changed.resolve()
  }

  /** Whether a new snapshot is due where so many paths are shared. */
  isDue(size: number): boolean {
    const isFull = this.#told > 0 && size > capacityOf(this.#bytes)
    return this.#isStale || isFull || this.#gone > GONE_MIN + size / 8
  }

  /** What came first and has not been told; a reader of `news` is woken again for the rest. */
  take(max: number): readonly Uint8Array[] {
    const taken = this.#waiting.slice(0, max)
    this.#waiting = this.#waiting.slice(max)
    this.#told += taken.length
    this.#changed = Promise.withResolvers<void>()
    if (this.#waiting.length > 0) this.#changed.resolve()
    return taken
  }
}
