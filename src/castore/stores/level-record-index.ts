import { rm } from 'node:fs/promises'
import { Level } from 'level'
import type { Log } from '../../foundation/log.ts'
import { CastoreError } from '../castore-error.ts'
import { RECORD_KINDS, type RecordKind, type RecordTotals } from '../record-store.ts'
import {
  decodeLocation,
  encodeLocation,
  type LogPosition,
  type RecordLocation,
} from './record-location.ts'

/** One record's place, for the index; undefined where it is gone. */
export interface IndexEntry {
  readonly kind: RecordKind
  readonly key: Uint8Array
  readonly location: RecordLocation | undefined
}

/** A record that the index knows. */
export interface IndexedRecord {
  readonly key: Uint8Array
  readonly location: RecordLocation
}

/** How far the index has read the log, and what it counted up to there. */
export interface IndexMark {
  readonly position: LogPosition
  readonly totals: Readonly<Partial<Record<RecordKind, RecordTotals>>>
}

// Sorts before every record's key, whose first byte is its kind, 1 or more.
const MARK_KEY = Buffer.from([0])

/**
 * How many of the latest writes leave a trace, each under its number. After a power cut Level
 * leaves out, in silence, what it can not read of its own log, and goes on behind that: by a number
 * that is missing it is known that entries are. So many do not fit into what Level has not yet put
 * into tables, which it syncs: two times 4 MiB, of which each write takes 600 bytes and more.
 */
const STEPS_KEPT = 16_384

/** How many entries one look takes in when all of a kind are gone through. */
const SCAN_RECORDS = 4096

/** How many bytes of entries Level hands over at a time for that. */
const SCAN_BYTES = 512 * 1024

const LEVEL_OPTIONS = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/**
 * The index over the segments, in Level: where each record is, and up to where the log is known.
 * Entries and mark are written together, so that it is always right about a prefix of the log.
 */
export class LevelRecordIndex {
  readonly #level: Level<Buffer, Buffer>
  /** How many writes there were. */
  #steps = 0

  private constructor(level: Level<Buffer, Buffer>) {
    this.#level = level
  }

  /**
   * Opens or creates the index at `path`. One that can not be read is begun anew: the segments hold
   * all that it knew. @throws CastoreError where another process has it open
   */
  static async open(path: string, log: Log): Promise<LevelRecordIndex> {
    try {
      return await openLevel(path)
    } catch (cause) {
      if (isLocked(cause)) {
        const what = `the store is in use by another process: ${path}`
        throw new CastoreError({ code: 'store-unusable', path }, what, { cause })
      }
      log.warn('the index can not be read, rebuilding it', { path, error: cause })
      await rm(path, { recursive: true, force: true })
      return await openLevel(path)
    }

    async function openLevel(path: string): Promise<LevelRecordIndex> {
      const level = new Level<Buffer, Buffer>(path, LEVEL_OPTIONS)
      await level.open()
      const index = new LevelRecordIndex(level)
      try {
        const mark = await index.#readMark()
        index.#steps = mark?.steps ?? 0
        if (await index.#isWhole()) return index
        log.warn('the index has lost some of what was written to it, rebuilding it', { path })
        await index.clear()
        return index
      } catch (error) {
        await level.close()
        throw error
      }
    }
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    await this.#level.clear()
    this.#steps = 0
  }

  async mark(): Promise<IndexMark | undefined> {
    return await this.#readMark()
  }

  async #readMark(): Promise<(IndexMark & { readonly steps?: number }) | undefined> {
    const value = await this.#level.get(MARK_KEY)
    return value === undefined ? undefined : JSON.parse(value.toString('utf8'))
  }

  /** Whether each of the latest writes is there. Indexes of old did not count them. */
  async #isWhole(): Promise<boolean> {
    const last = this.#steps
    const first = Math.max(1, last - STEPS_KEPT + 1)
    const range = { gte: stepKey(first), lte: stepKey(last) }
    let found = 0
    for await (const _ of this.#level.keys(range)) found++
    return found === last - first + 1
  }

  /**
   * Where records are, undefined for those that the index does not know. Not asynchronous: a look
   * into Level's memory takes 1 to 4 µs, handing one to a thread 50 µs and more, and the index is
   * small enough to stay in memory.
   */
  locate(kind: RecordKind, keys: readonly Uint8Array[]): (RecordLocation | undefined)[] {
    return keys.map((key) => {
      const value = this.#level.getSync(indexKey(kind, key))
      return value === undefined ? undefined : decodeLocation(value)
    })
  }

  /**
   * Takes over entries and moves the mark, both or neither. `isLasting` waits until that is on
   * stable storage; mostly the log is enough for that.
   */
  async advance(entries: readonly IndexEntry[], mark: IndexMark, isLasting = false): Promise<void> {
    const operations = entries.map(({ kind, key, location }) =>
      location === undefined
        ? { type: 'del' as const, key: indexKey(kind, key) }
        : { type: 'put' as const, key: indexKey(kind, key), value: encodeLocation(location) },
    )
    const steps = this.#steps + 1
    const value = Buffer.from(JSON.stringify({ ...mark, steps }))
    const all = [
      ...operations,
      { type: 'put' as const, key: MARK_KEY, value },
      { type: 'put' as const, key: stepKey(steps), value: NOTHING },
    ]
    if (steps > STEPS_KEPT) all.push({ type: 'del', key: stepKey(steps - STEPS_KEPT) })
    await this.#level.batch(all, { sync: isLasting })
    this.#steps = steps
  }

  /** The keys of a kind in order. */
  async *keys(kind: RecordKind): AsyncGenerator<Uint8Array> {
    for await (const key of this.#level.keys(rangeOf(kind))) yield key.subarray(1)
  }

  /** The records of a kind in the order of their keys, many at a time. */
  async *records(kind: RecordKind): AsyncGenerator<IndexedRecord[]> {
    await using iterator = this.#level.iterator({
      ...rangeOf(kind),
      highWaterMarkBytes: SCAN_BYTES,
    })
    for (;;) {
      const entries = await iterator.nextv(SCAN_RECORDS)
      if (entries.length === 0) return
      yield entries.map(([key, value]) => ({
        key: key.subarray(1),
        location: decodeLocation(value),
      }))
    }
  }

  async close(): Promise<void> {
    await this.#level.close()
  }
}

function rangeOf(kind: RecordKind): { gte: Buffer; lt: Buffer } {
  return { gte: Buffer.from([RECORD_KINDS[kind]]), lt: Buffer.from([RECORD_KINDS[kind] + 1]) }
}

const NOTHING = Buffer.alloc(0)

function stepKey(step: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUIntBE(step, 2, 6)
  return bytes
}

function indexKey(kind: RecordKind, key: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + key.length)
  bytes[0] = RECORD_KINDS[kind]
  bytes.set(key, 1)
  return bytes
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
}
