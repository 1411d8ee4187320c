import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Call, unhurriedCall } from '../../foundation/call.ts'
import type { Log } from '../../foundation/log.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import { CastoreError } from '../castore-error.ts'
import {
  isContentAddressed,
  type RecordKind,
  type RecordStore,
  type RecordTotals,
  type StoredRecord,
} from '../record-store.ts'
import { type IndexEntry, type IndexMark, LevelRecordIndex } from './level-record-index.ts'
import { PendingIndex } from './pending-index.ts'
import { planReads } from './read-plan.ts'
import type { LogPosition, RecordLocation } from './record-location.ts'
import { SegmentFiles } from './segment-files.ts'
import { SegmentLog } from './segment-log.ts'
import { isSound, scanSegment } from './segment-scan.ts'

/** The version of the layout on disk; a state directory of a later one is left alone. */
export const STORE_FORMAT = 1

/** After this many bytes without a sync, one is begun in the background. */
export const UNSYNCED_BYTES_MAX = 64 * 1024 * 1024

/** After this many records without a sync, one is begun in the background. */
export const UNSYNCED_RECORDS_MAX = 16_384

/**
 * Records in append-only segment files under a Level index. The log is the truth: the index learns
 * of a record only once it is on stable storage, remembers how far it has read, and catches up at
 * start, where a torn tail is cut at the last whole record.
 */
export class SegmentRecordStore implements RecordStore {
  readonly #files: SegmentFiles
  readonly #log: SegmentLog
  readonly #index: LevelRecordIndex
  readonly #pending: PendingIndex
  #syncing: Promise<void> | undefined
  #queuedSync: Promise<void> | undefined
  #backgroundFailure: unknown

  private constructor(parts: {
    files: SegmentFiles
    log: SegmentLog
    index: LevelRecordIndex
    pending: PendingIndex
  }) {
    this.#files = parts.files
    this.#log = parts.log
    this.#index = parts.index
    this.#pending = parts.pending
  }

  /**
   * Opens or creates a store in `directory`, catching up with the log first.
   * @throws CastoreError 'store-unusable'
   */
  static async open(components: { directory: string; log: Log }): Promise<SegmentRecordStore> {
    const { directory, log } = components
    const segments = join(directory, 'segments')
    await mkdir(segments, { recursive: true })
    await checkFormat(directory)
    const index = await LevelRecordIndex.open(join(directory, 'index'), log)
    const files = new SegmentFiles(segments)
    try {
      const mark = await trustedMark(index, files, log)
      const pending = new PendingIndex(mark?.totals)
      const end = await catchUp({ files, index, pending, log }, mark?.position)
      const segmentLog = new SegmentLog(files, end)
      return new SegmentRecordStore({ files, log: segmentLog, index, pending })
    } catch (error) {
      await index.close()
      throw error
    }
  }

  async sizes(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(number | undefined)[]> {
    call.signal.throwIfAborted()
    const locations = this.#locate(kind, keys)
    return locations.map((location) => location?.bytes)
  }

  async get(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]> {
    call.signal.throwIfAborted()
    const locations = this.#locate(kind, keys)
    const results = new Array<Uint8Array | undefined>(keys.length)
    await Promise.all(
      planReads(locations).map(async ({ segment, offset, bytes, records }) => {
        const window = Buffer.allocUnsafeSlow(bytes)
        const filled = await this.#files.read(segment, offset, window)
        for (const { index, location } of records) {
          const from = location.offset - offset
          const content = window.subarray(from, from + location.bytes)
          const record = { kind, key: keys[index]!, check: location.check }
          if (from + location.bytes > filled || !isSound(record, content)) throw rotten(location)
          results[index] = content
        }
      }),
    )
    return results
  }

  async put(kind: RecordKind, records: readonly StoredRecord[], call: Call): Promise<void> {
    call.signal.throwIfAborted()
    if (this.#backgroundFailure !== undefined) await this.sync(call)
    const known = this.#locate(
      kind,
      records.map((record) => record.key),
    )
    // Nothing is awaited between the look at what is reserved and reserving it, so that two puts
    // of the same content at the same time store it once.
    const wanted: StoredRecord[] = []
    const replaced: (RecordLocation | undefined)[] = []
    const others: Promise<void>[] = []
    const taken = new Set<string>()
    for (const [i, record] of records.entries()) {
      if (isContentAddressed(kind)) {
        if (known[i] !== undefined) continue
        const name = Buffer.from(record.key).toString('latin1')
        if (taken.has(name)) continue
        taken.add(name)
        const other = this.#pending.reserved(kind, record.key)
        if (other !== undefined) {
          others.push(other)
          continue
        }
      }
      wanted.push(record)
      replaced.push(known[i])
    }
    if (wanted.length > 0) await this.#append(kind, wanted, replaced)
    await Promise.all(others)
  }

  async #append(
    kind: RecordKind,
    records: readonly StoredRecord[],
    replaced: readonly (RecordLocation | undefined)[],
  ): Promise<void> {
    const written = Promise.withResolvers<void>()
    written.promise.catch(() => undefined) // told to whoever waits for the same record
    using _reservation = this.#pending.reserve(kind, records, written.promise)
    try {
      const locations = await this.#log.append(kind, records)
      for (const [i, location] of locations.entries()) {
        this.#pending.add({ kind, key: records[i]!.key, location }, replaced[i])
      }
      written.resolve()
    } catch (error) {
      written.reject(error)
      throw error
    }
    const { bytes, records: count } = this.#pending.size
    if (bytes >= UNSYNCED_BYTES_MAX || count >= UNSYNCED_RECORDS_MAX) this.#syncSoon()
  }

  async sync(call: Call): Promise<void> {
    this.#backgroundFailure = undefined
    await unlessAborted(this.#sync(), call.signal)
  }

  /** One sync at a time; all who ask while one runs share the next, which covers what they put. */
  #sync(): Promise<void> {
    if (this.#syncing === undefined) return this.#beginSync()
    this.#queuedSync ??= this.#syncing
      .catch(() => undefined) // told to those who waited for that one
      .then(() => {
        this.#queuedSync = undefined
        return this.#beginSync()
      })
    return this.#queuedSync
  }

  #beginSync(): Promise<void> {
    const running = this.#bringToStorage().finally(() => {
      this.#syncing = undefined
    })
    this.#syncing = running
    return running
  }

  async #bringToStorage(): Promise<void> {
    if (this.#pending.size.records === 0) return
    const position = await this.#log.sync()
    const { entries, mark } = this.#pending.upTo(position)
    await this.#index.advance(entries, mark)
    this.#pending.settle(entries, mark)
  }

  #syncSoon(): void {
    if (this.#syncing !== undefined) return
    this.#sync().catch((error) => {
      this.#backgroundFailure = error // the next put tries again and tells
    })
  }

  async *keys(kind: RecordKind, call: Call): AsyncGenerator<Uint8Array> {
    await this.sync(call)
    for await (const key of this.#index.keys(kind)) {
      call.signal.throwIfAborted()
      yield key
    }
  }

  totals(kind: RecordKind): RecordTotals {
    return this.#pending.totals(kind)
  }

  /** Brings everything to stable storage and closes the files. */
  async close(): Promise<void> {
    try {
      await this.sync(unhurriedCall())
    } finally {
      await this.#log.close()
      await this.#files.close()
      await this.#index.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #locate(kind: RecordKind, keys: readonly Uint8Array[]): (RecordLocation | undefined)[] {
    const found = keys.map((key) => this.#pending.locate(kind, key))
    const missing = keys.filter((_, i) => found[i] === undefined)
    if (missing.length === 0) return found
    const indexed = this.#index.locate(kind, missing)
    let next = 0
    return found.map((location) => location ?? indexed[next++])
  }
}

async function checkFormat(directory: string): Promise<void> {
  const path = join(directory, 'format')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) {
    await writeFile(path, `${STORE_FORMAT}\n`)
    return
  }
  if (Number(text) !== STORE_FORMAT) {
    const format = `format ${text.trim()}, this program knows ${STORE_FORMAT}`
    const what = `the store in ${directory} has ${format}`
    throw new CastoreError({ code: 'store-unusable', path: directory }, what)
  }
}

/** The index's mark, unless the log is shorter than that: then the index is emptied. */
async function trustedMark(
  index: LevelRecordIndex,
  files: SegmentFiles,
  log: Log,
): Promise<IndexMark | undefined> {
  const mark = await index.mark()
  if (mark === undefined) return undefined
  const { segment, offset } = mark.position
  if (offset === 0 || (await files.size(segment)) >= offset) return mark
  log.warn('segments are shorter than the index says, rebuilding it', { segment, offset })
  await index.clear()
  return undefined
}

/** Indexes what the log holds beyond the mark; says where the log ends. */
async function catchUp(
  parts: { files: SegmentFiles; index: LevelRecordIndex; pending: PendingIndex; log: Log },
  from: LogPosition | undefined,
): Promise<LogPosition> {
  const { files, index, pending, log } = parts
  const segments = await files.list()
  let end: LogPosition = from ?? { segment: 0, offset: 0 }
  let torn = false
  let records = 0
  for (const segment of segments.filter((number) => number >= end.segment)) {
    if (torn) {
      // Nothing behind a torn record was ever acknowledged: a sync covers all that comes before.
      log.warn('segment behind a torn one removed', { segment })
      await files.remove(segment)
      continue
    }
    const start = segment === end.segment ? end.offset : 0
    for await (const step of scanSegment(files.pathOf(segment), segment, start)) {
      if (step.type === 'record') {
        replay(step.entry, index, pending)
        records++
        if (pending.size.records >= UNSYNCED_RECORDS_MAX) await settleAll(index, pending)
        continue
      }
      end = { segment, offset: step.offset }
      if (step.offset < step.fileBytes) {
        torn = true
        log.warn('torn tail cut', {
          segment,
          offset: step.offset,
          lost: step.fileBytes - step.offset,
        })
        await truncate(files.pathOf(segment), step.offset)
      }
    }
  }
  if (records > 0) {
    log.info('index caught up with the segments', { records })
    await settleAll(index, pending)
  }
  return end
}

function replay(entry: IndexEntry, index: LevelRecordIndex, pending: PendingIndex): void {
  const { kind, key } = entry
  const known = pending.locate(kind, key) ?? index.locate(kind, [key])[0]
  if (known !== undefined && isContentAddressed(kind)) return
  pending.add(entry, known)
}

async function settleAll(index: LevelRecordIndex, pending: PendingIndex): Promise<void> {
  const { entries, mark } = pending.upTo(undefined)
  await index.advance(entries, mark)
  pending.settle(entries, mark)
}

function rotten(location: RecordLocation): CastoreError {
  const where = `segment ${location.segment} at ${location.offset}`
  return new CastoreError(
    { code: 'record-corrupt', where },
    `a stored record is not what was written: ${where}`,
  )
}
