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

/** One record's place, for the index. */
export interface IndexEntry {
  readonly kind: RecordKind
  readonly key: Uint8Array
  readonly location: RecordLocation
}

/** How far the index has read the log, and what it counted up to there. */
export interface IndexMark {
  readonly position: LogPosition
  readonly totals: Readonly<Record<RecordKind, RecordTotals>>
}

// Sorts before every record's key, whose first byte is its kind, 1 or more.
const MARK_KEY = Buffer.from([0])

const LEVEL_OPTIONS = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/**
 * The index over the segments, in Level: where each record is, and up to where the log is known.
 * Entries and mark are written together, so that it is always right about a prefix of the log.
 */
export class LevelRecordIndex {
  readonly #level: Level<Buffer, Buffer>

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
      return new LevelRecordIndex(level)
    }
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    await this.#level.clear()
  }

  async mark(): Promise<IndexMark | undefined> {
    const value = await this.#level.get(MARK_KEY)
    return value === undefined ? undefined : (JSON.parse(value.toString('utf8')) as IndexMark)
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

  /** Adds entries and moves the mark, both or neither. */
  async advance(entries: readonly IndexEntry[], mark: IndexMark): Promise<void> {
    await this.#level.batch([
      ...entries.map(({ kind, key, location }) => ({
        type: 'put' as const,
        key: indexKey(kind, key),
        value: encodeLocation(location),
      })),
      { type: 'put' as const, key: MARK_KEY, value: Buffer.from(JSON.stringify(mark)) },
    ])
  }

  /** The keys of a kind in order. */
  async *keys(kind: RecordKind): AsyncGenerator<Uint8Array> {
    const from = Buffer.from([RECORD_KINDS[kind]])
    const to = Buffer.from([RECORD_KINDS[kind] + 1])
    for await (const key of this.#level.keys({ gte: from, lt: to })) yield key.subarray(1)
  }

  async close(): Promise<void> {
    await this.#level.close()
  }
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
