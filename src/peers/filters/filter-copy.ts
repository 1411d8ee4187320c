import { BloomFilter, capacityOf, FILL_PERCENT_MAX, isFilterLength } from './bloom-filter.ts'
import { ADDED_AT_ONCE, type FilterNews, HASH_BYTES, PART_BYTES } from './filter-news.ts'
import type { PathHasher } from './sip-hash.ts'

/** Why a peer's filter can not be used. */
export type FilterFlaw =
  /** It is no filter: the peer breaks the protocol. */
  | { readonly code: 'nonsense'; readonly what: string }
  /** It is larger than what is kept, or more is said of it than it takes. */
  | { readonly code: 'too-much'; readonly what: string }

/** What is said of a filter is not taken. */
export class FilterError extends Error {
  readonly flaw: FilterFlaw

  constructor(flaw: FilterFlaw) {
    super(flaw.what)
    this.name = 'FilterError'
    this.flaw = flaw
  }
}

interface Snapshot {
  readonly bytes: Uint8Array
  filled: number
}

/**
 * A peer's filter as it has been told here so far. A filter is a hint: who says yes to everything
 * would be asked for everything, as if there were no filter, which is no loss; it is dropped as too
 * full to be worth its room. Who says no to what it has is not asked.
 */
export class FilterCopy {
  readonly #hasher: PathHasher
  readonly #room: (bytes: number) => boolean
  #filter: BloomFilter | undefined
  #coming: Snapshot | undefined
  /** How many updates there were since the snapshot began. */
  #added = 0

  /** `room` says whether so many bytes more may be kept, before they are. */
  constructor(components: { hasher: PathHasher; room: (bytes: number) => boolean }) {
    this.#hasher = components.hasher
    this.#room = components.room
  }

  /** Whether there is a whole filter. */
  get isWhole(): boolean {
    return this.#filter !== undefined
  }

  /** How many bytes it keeps. */
  get bytes(): number {
    return (this.#filter?.bytes.length ?? 0) + (this.#coming?.bytes.length ?? 0)
  }

  /** Whether the peer may have a path; true where that can not be told. */
  mayHave(hash: Uint8Array): boolean {
    return this.#filter?.has(this.#hasher.hash(hash)) ?? true
  }

  /** Takes in what the peer says. Says whether something may be in it now that was not. */
  take({ snapshotBytes, bits, added }: FilterNews): boolean {
    if (snapshotBytes !== undefined) this.#begin(snapshotBytes)
    const isNew = bits !== undefined && bits.length > 0 && this.#fillUp(bits)
    if (added === undefined || added.length === 0) return isNew
    this.#add(added)
    return true
  }

  #begin(bytes: number): void {
    if (this.#coming !== undefined) throw nonsense('a snapshot within another')
    if (!isFilterLength(bytes)) throw tooMuch(`a filter of ${bytes} bytes`)
    if (!this.#room(bytes)) throw tooMuch('filters of more bytes than are kept')
    this.#coming = { bytes: new Uint8Array(bytes), filled: 0 }
  }

  #fillUp(bits: Uint8Array): boolean {
    const coming = this.#coming
    if (coming === undefined) throw nonsense('a part of no snapshot')
    if (bits.length > PART_BYTES) throw nonsense(`a part of ${bits.length} bytes`)
    if (coming.filled + bits.length > coming.bytes.length) throw nonsense('more than a filter')
    coming.bytes.set(bits, coming.filled)
    coming.filled += bits.length
    if (coming.filled < coming.bytes.length) return false
    this.#coming = undefined
    this.#added = 0
    this.#filter = new BloomFilter(coming.bytes)
    if (100 * this.#filter.fill > FILL_PERCENT_MAX)
      throw tooMuch('a filter that says yes to everything')
    return true
  }

  #add(added: Uint8Array): void {
    const filter = this.#filter
    if (filter === undefined) throw nonsense('news before the first snapshot')
    const isWhole = added.length % HASH_BYTES === 0
    const count = added.length / HASH_BYTES
    if (!isWhole || count > ADDED_AT_ONCE) throw nonsense(`news of ${added.length} bytes`)
    this.#added += count
    if (this.#added > addedMax(filter.bytes.length)) throw tooMuch('more news than fits in')
    const view = new DataView(added.buffer, added.byteOffset, added.byteLength)
    for (let at = 0; at < added.length; at += HASH_BYTES) {
      filter.add({ low: view.getUint32(at, true), high: view.getUint32(at + 4, true) })
    }
  }
}

/**
 * How many updates are told of a filter of so many bytes at the most: there is to be a new snapshot
 * long before, but not too soon after the one before it.
 */
export function addedMax(bytes: number): number {
  return capacityOf(bytes)
}

function nonsense(what: string): FilterError {
  return new FilterError({ code: 'nonsense', what })
}

function tooMuch(what: string): FilterError {
  return new FilterError({ code: 'too-much', what })
}
