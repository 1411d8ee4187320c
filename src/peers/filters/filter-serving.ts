import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { waitUpTo } from '../../foundation/wait-up-to.ts'
import { STORE_PATH_HASH_BYTES } from '../../nix/store-path.ts'
import type { FilterSource } from '../exchange/filter-source.ts'
import { BITS_PER_PATH, BloomFilter, FILTER_BYTES_MAX } from './bloom-filter.ts'
import { FilterFeed } from './filter-feed.ts'
import {
  ADDED_AT_ONCE,
  FILTER_KEEPALIVE_MS,
  FILTER_NEWS_MS,
  type FilterNews,
  HASH_BYTES,
  PART_BYTES,
} from './filter-news.ts'
import type { PathHashSet } from './path-hash-set.ts'
import type { SharedPaths } from './shared-paths.ts'
import { PathHasher } from './sip-hash.ts'

/** Of how many paths filters are made; with more of them neighbours ask for each. */
export const FILTER_PATHS_MAX = Math.floor((8 * FILTER_BYTES_MAX) / BITS_PER_PATH)

/** How many neighbours are told which paths are shared; one more asks for each. */
export const FILTERED_PEERS_MAX = 512

/** How many bytes of snapshots are made or sent at once; the next ones wait. */
export const SNAPSHOT_BYTES_MAX = 16 * 1024 * 1024

/** How long it takes at least until one peer gets another snapshot: each is much work. */
export const SNAPSHOT_PAUSE_MS = 10_000

/** How long a peer may take for a snapshot, so that others get theirs. */
export const SNAPSHOT_MS = 60_000

/** How many paths are hashed before others have their turn. */
const SLICE = 4_096

/** What it works with. */
export interface FilterServingComponents {
  readonly paths: SharedPaths
  readonly clock: Clock
}

/** Tells peers which paths are shared, each by a filter under the key that it has chosen. */
export class FilterServing implements FilterSource {
  readonly #components: FilterServingComponents
  readonly #room = new Semaphore(SNAPSHOT_BYTES_MAX)
  readonly #building = new Semaphore(1)
  /** When each peer may have the next snapshot, as long as that is to come. */
  readonly #pauses = new Map<string, number>()
  #peers = 0

  constructor(components: FilterServingComponents) {
    this.#components = components
  }

  async *watch(peer: string, key: Uint8Array, call: Call): AsyncGenerator<FilterNews> {
    if (this.#peers >= FILTERED_PEERS_MAX) return
    const { paths } = this.#components
    const feed = new FilterFeed()
    using _watching = paths.watch(feed)
    this.#peers++
    try {
      const hasher = new PathHasher(key)
      for (;;) {
        await this.#pause(peer, call)
        if ((await paths.hashes()).size > FILTER_PATHS_MAX) return
        const isTaken = yield* this.#snapshot(hasher, feed, call)
        if (!isTaken) return
        yield* this.#news(peer, hasher, feed, call)
      }
    } finally {
      this.#peers--
    }
  }

  /** What is shared now; false where it is not taken in time. */
  async *#snapshot(
    hasher: PathHasher,
    feed: FilterFeed,
    call: Call,
  ): AsyncGenerator<FilterNews, boolean> {
    const { paths, clock } = this.#components
    const { size } = await paths.hashes()
    using _room = await this.#room.acquire(Math.ceil((size * BITS_PER_PATH) / 8), call)
    const bytes = await this.#build(hasher, feed, call)
    const nowMs = clock.now()
    yield { snapshotBytes: bytes.length }
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      if (clock.now() - nowMs > SNAPSHOT_MS) return false
      yield { bits: bytes.subarray(at, at + PART_BYTES) }
    }
    return true
  }

  /** One after the other, and a slice at a time: a million paths take some tenths of a second. */
  async #build(hasher: PathHasher, feed: FilterFeed, call: Call): Promise<Uint8Array> {
    using _turn = await this.#building.acquire(1, call)
    const hashes = await this.#components.paths.hashes()
    const filter = BloomFilter.sizedFor(Math.min(hashes.size, FILTER_PATHS_MAX))
    feed.begin(filter.bytes.length) // what comes from now on is told after it
    // From the last to the first: see PathHashSet.
    for (let end = hashes.size; end > 0; ) {
      end = Math.min(end, hashes.size)
      const begin = Math.max(0, end - SLICE)
      addAll(filter, hashes, hasher, begin, end)
      end = begin
      await new Promise((resolve) => setImmediate(resolve))
      call.signal.throwIfAborted()
    }
    return filter.bytes
  }

  /** What is new, until it is time for another snapshot. */
  async *#news(
    peer: string,
    hasher: PathHasher,
    feed: FilterFeed,
    call: Call,
  ): AsyncGenerator<FilterNews> {
    const { paths, clock } = this.#components
    for (;;) {
      const isDue = feed.isDue(paths.size)
      const pauseMs = (this.#pauses.get(peer) ?? 0) - clock.now()
      if (isDue && pauseMs <= 0) return
      const waitMs = isDue ? Math.min(pauseMs, FILTER_KEEPALIVE_MS) : FILTER_KEEPALIVE_MS
      const isNews = await waitUpTo(this.#components.clock, waitMs, feed.news, call)
      // At once: whoever is told that a path was put may ask for it elsewhere the next moment.
      const added = feed.take(ADDED_AT_ONCE)
      if (!isNews || added.length > 0) yield { added: hashed(added, hasher) }
      await clock.sleep(FILTER_NEWS_MS, call)
    }
  }

  /** Waits until a peer may have a snapshot: whoever asks again and again has no more of them. */
  async #pause(peer: string, call: Call): Promise<void> {
    const { clock } = this.#components
    for (;;) {
      const waitMs = (this.#pauses.get(peer) ?? 0) - clock.now()
      if (waitMs <= 0) break // nobody else has had the turn meanwhile, on another channel
      await clock.sleep(waitMs, call)
    }
    const nowMs = clock.now()
    this.#pauses.delete(peer) // to the end: the map is in the order of time
    this.#pauses.set(peer, nowMs + SNAPSHOT_PAUSE_MS)
    for (const [first, untilMs] of this.#pauses) {
      if (untilMs > nowMs) return
      this.#pauses.delete(first)
    }
  }
}

function addAll(
  filter: BloomFilter,
  hashes: PathHashSet,
  hasher: PathHasher,
  begin: number,
  end: number,
): void {
  const { entries } = hashes
  for (let i = begin; i < end; i++) filter.add(hasher.hash(entries, i * STORE_PATH_HASH_BYTES))
}

function hashed(hashes: readonly Uint8Array[], hasher: PathHasher): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, hash] of hashes.entries()) {
    const { low, high } = hasher.hash(hash)
    view.setUint32(i * HASH_BYTES, low, true)
    view.setUint32(i * HASH_BYTES + 4, high, true)
  }
  return bytes
}
