import {
  RECORD_KINDS,
  type RecordKind,
  type RecordName,
  type RecordTotals,
  type StoredRecord,
} from '../record-store.ts'
import type { IndexEntry, IndexMark } from './level-record-index.ts'
import {
  behind,
  comparePositions,
  type LogPosition,
  type RecordLocation,
} from './record-location.ts'

type Totals = Record<RecordKind, { records: number; bytes: number; storedBytes: number }>

interface PendingEntry extends IndexEntry {
  /** Where the log says so ends. */
  readonly end: LogPosition
  readonly replaced: RecordLocation | undefined
}

/**
 * What the log holds and the index does not know yet, because no sync has covered it; and the
 * totals of both.
 */
export class PendingIndex {
  /** All that happened, in the order of the log, and the latest of each key. */
  #queue: PendingEntry[] = []
  readonly #latest = new Map<string, PendingEntry>()
  readonly #reserved = new Map<string, Promise<void>>()
  readonly #totals: Totals
  /** The totals of what the index knows. */
  #settled: Totals
  #bytes = 0

  constructor(settled?: IndexMark['totals']) {
    this.#settled = totalsOf(settled)
    this.#totals = structuredClone(this.#settled)
  }

  get size(): { readonly records: number; readonly bytes: number } {
    return { records: this.#queue.length, bytes: this.#bytes }
  }

  totals(kind: RecordKind): RecordTotals {
    return { ...this.#totals[kind] }
  }

  /** What is known of a record: that it is somewhere, or that it is gone; undefined for nothing. */
  latest(kind: RecordKind, key: Uint8Array): Pick<IndexEntry, 'location'> | undefined {
    return this.#queue.length === 0 ? undefined : this.#latest.get(mapKey(kind, key))
  }

  /** Takes up a record that has been written; `replaced` is where its older version is, if any. */
  add(name: RecordName, location: RecordLocation, replaced: RecordLocation | undefined): void {
    this.#push({ ...name, location, end: behind(location), replaced })
    this.#bytes += location.bytes
  }

  /** Takes up that a record was removed, by a note in the log that ends there. */
  remove(name: RecordName, removed: RecordLocation, end: LogPosition): void {
    this.#push({ ...name, location: undefined, end, replaced: removed })
  }

  #push(entry: PendingEntry): void {
    this.#queue.push(entry)
    this.#latest.set(mapKey(entry.kind, entry.key), entry)
    count(this.#totals, entry)
  }

  /** The promise of whoever is writing that record just now. */
  reserved(kind: RecordKind, key: Uint8Array): Promise<void> | undefined {
    return this.#reserved.get(mapKey(kind, key))
  }

  /** Says that these records are being written, until disposed. */
  reserve(kind: RecordKind, records: readonly StoredRecord[], written: Promise<void>): Disposable {
    const keys = records.map((record) => mapKey(kind, record.key))
    for (const key of keys) this.#reserved.set(key, written)
    return {
      [Symbol.dispose]: () => {
        for (const key of keys) {
          if (this.#reserved.get(key) === written) this.#reserved.delete(key)
        }
      },
    }
  }

  /** The entries before a position, or all, and the mark that goes with them into the index. */
  upTo(position: LogPosition | undefined): { entries: IndexEntry[]; mark: IndexMark } {
    const covered = (entry: PendingEntry): boolean =>
      position === undefined || comparePositions(entry.end, position) <= 0
    const beyond = this.#queue.findIndex((entry) => !covered(entry))
    const entries = beyond < 0 ? [...this.#queue] : this.#queue.slice(0, beyond)
    const totals = structuredClone(this.#settled)
    for (const entry of entries) count(totals, entry)
    const end = position ?? entries.at(-1)?.end ?? { segment: 0, offset: 0 }
    return { entries, mark: { position: end, totals } }
  }

  /** Drops what the index has taken over: the first entries of the queue. */
  settle(entries: readonly IndexEntry[], mark: IndexMark): void {
    this.#settled = totalsOf(mark.totals)
    this.#queue = this.#queue.slice(entries.length)
    for (const entry of entries) {
      this.#bytes -= entry.location?.bytes ?? 0
      const key = mapKey(entry.kind, entry.key)
      if (this.#latest.get(key) === entry) this.#latest.delete(key)
    }
  }
}

function count(totals: Totals, { kind, location, replaced }: PendingEntry): void {
  const total = totals[kind]
  for (const [place, sign] of [
    [location, 1],
    [replaced, -1],
  ] as const) {
    if (place === undefined) continue
    total.records += sign
    total.bytes += sign * place.size
    total.storedBytes += sign * place.bytes
  }
}

/** The totals of every kind: those that are given, or none. Stores of old counted one length. */
function totalsOf(given: IndexMark['totals'] = {}): Totals {
  const kinds = Object.keys(RECORD_KINDS) as RecordKind[]
  return Object.fromEntries(
    kinds.map((kind) => {
      const { records = 0, bytes = 0, storedBytes = bytes } = given[kind] ?? {}
      return [kind, { records, bytes, storedBytes }]
    }),
  ) as Totals
}

function mapKey(kind: RecordKind, key: Uint8Array): string {
  return `${kind}:${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')}`
}
