import type { RecordKind, RecordTotals, StoredRecord } from '../record-store.ts'
import type { IndexEntry, IndexMark } from './level-record-index.ts'
import { comparePositions, type LogPosition, type RecordLocation } from './record-location.ts'

type Totals = Record<RecordKind, { records: number; bytes: number }>

interface PendingEntry extends IndexEntry {
  readonly replaced: RecordLocation | undefined
}

/**
 * What the log holds and the index does not know yet, because no sync has covered it; and the
 * totals of both.
 */
export class PendingIndex {
  /** Every record in the order of the log, and the latest of each key. */
  #queue: PendingEntry[] = []
  readonly #latest = new Map<string, PendingEntry>()
  readonly #reserved = new Map<string, Promise<void>>()
  readonly #totals: Totals
  /** The totals of what the index knows. */
  #settled: Totals
  #bytes = 0

  constructor(settled?: IndexMark['totals']) {
    this.#settled = { ...noTotals(), ...structuredClone(settled) }
    this.#totals = structuredClone(this.#settled)
  }

  get size(): { readonly records: number; readonly bytes: number } {
    return { records: this.#queue.length, bytes: this.#bytes }
  }

  totals(kind: RecordKind): RecordTotals {
    return { ...this.#totals[kind] }
  }

  locate(kind: RecordKind, key: Uint8Array): RecordLocation | undefined {
    return this.#queue.length === 0 ? undefined : this.#latest.get(mapKey(kind, key))?.location
  }

  /** Takes up a record that has been written; `replaced` is where its older version is, if any. */
  add(entry: IndexEntry, replaced: RecordLocation | undefined): void {
    const key = mapKey(entry.kind, entry.key)
    const pending = { ...entry, replaced: this.#latest.get(key)?.location ?? replaced }
    this.#queue.push(pending)
    this.#latest.set(key, pending)
    this.#bytes += entry.location.bytes
    count(this.#totals, pending)
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
      position === undefined || comparePositions(behind(entry), position) <= 0
    const beyond = this.#queue.findIndex((entry) => !covered(entry))
    const entries = beyond < 0 ? [...this.#queue] : this.#queue.slice(0, beyond)
    const totals = structuredClone(this.#settled)
    for (const entry of entries) count(totals, entry)
    const end =
      position ?? (entries.length > 0 ? behind(entries.at(-1)!) : { segment: 0, offset: 0 })
    return { entries, mark: { position: end, totals } }
  }

  /** Drops what the index has taken over: the first entries of the queue. */
  settle(entries: readonly IndexEntry[], mark: IndexMark): void {
    this.#settled = structuredClone(mark.totals)
    this.#queue = this.#queue.slice(entries.length)
    for (const entry of entries) {
      this.#bytes -= entry.location.bytes
      const key = mapKey(entry.kind, entry.key)
      if (this.#latest.get(key) === entry) this.#latest.delete(key)
    }
  }
}

function behind(entry: IndexEntry): LogPosition {
  const { segment, offset, bytes } = entry.location
  return { segment, offset: offset + bytes }
}

function count(totals: Totals, entry: PendingEntry): void {
  const total = totals[entry.kind]
  if (entry.replaced === undefined) total.records++
  else total.bytes -= entry.replaced.bytes
  total.bytes += entry.location.bytes
}

function noTotals(): Totals {
  return {
    chunk: { records: 0, bytes: 0 },
    layout: { records: 0, bytes: 0 },
    directory: { records: 0, bytes: 0 },
    'path-info': { records: 0, bytes: 0 },
    'uploaded-nar': { records: 0, bytes: 0 },
    'uploaded-file': { records: 0, bytes: 0 },
    document: { records: 0, bytes: 0 },
    outboard: { records: 0, bytes: 0 },
    'share-choice': { records: 0, bytes: 0 },
  }
}

function mapKey(kind: RecordKind, key: Uint8Array): string {
  return `${kind}:${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')}`
}
