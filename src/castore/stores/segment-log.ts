import { unhurriedCall } from '../../foundation/call.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import type { Packing, RecordKind, RecordName, StoredRecord } from '../record-store.ts'
import type { DiskFile } from './disk.ts'
import { LogPieces, stagingBytes, writeAll } from './log-pieces.ts'
import { comparePositions, type LogPosition, type RecordLocation } from './record-location.ts'
import { encodeRemoval } from './removal-codec.ts'
import type { SegmentFiles } from './segment-files.ts'
import { checkOf, type LogNote, RECORD_HEADER_BYTES } from './segment-record.ts'
import { encodeSynced } from './synced-codec.ts'
import { writeAgain } from './write-again.ts'

/** A segment that has grown past this many bytes is closed and the next one begun. */
export const SEGMENT_BYTES = 64 * 1024 * 1024

/** The staging buffer for such copies is kept from write to write up to this many bytes. */
const STAGING_BYTES_MAX = 4 * 1024 * 1024

const noHurry = unhurriedCall()

/** Something to be appended to the log, as it is to be stored. */
export interface LogItem {
  readonly kind: RecordKind | LogNote
  readonly key: Uint8Array
  readonly bytes: Uint8Array
  readonly packing: Packing
  /** Length of the content in bytes. */
  readonly size: number
}

/** What is to be appended for a record. */
export function itemOf(kind: RecordKind, { key, bytes, stored }: StoredRecord): LogItem {
  const { packing, bytes: kept } = stored ?? { packing: 'raw', bytes }
  return { kind, key, bytes: kept, packing, size: bytes.length }
}

/** The note that records were removed. */
export function removalItem(names: readonly RecordName[]): LogItem {
  return noteItem('removal', encodeRemoval(names))
}

function noteItem(kind: LogNote, bytes: Uint8Array): LogItem {
  return { kind, key: new Uint8Array(0), bytes, packing: 'raw', size: bytes.length }
}

/** How a log is tuned. */
export interface SegmentLogInit {
  /** Length in bytes beyond which a segment is full; {@link SEGMENT_BYTES} by default. */
  readonly segmentBytes?: number | undefined
}

/** Told where items went, in the order of the log, before anything else is appended. */
export type Taken = (places: readonly RecordLocation[]) => void

/**
 * The writing end of the log: appends records to the newest segment file, in the order of the
 * calls, and brings them to stable storage when asked. A write that fails changes nothing. A sync
 * that fails may have cost what was written before it, though it can be read still, and the next
 * one would not tell: so it is written again.
 */
export class SegmentLog {
  readonly #files: SegmentFiles
  readonly #segmentBytes: number
  readonly #turn = new Semaphore(1)
  readonly #unsynced: DiskFile[] = []
  #current: DiskFile | undefined
  #newNames = false
  #staging = Buffer.alloc(0)
  #position: LogPosition
  /** Up to where the log is on stable storage, and up to where it says so itself. */
  #synced: LogPosition
  #noted: LogPosition
  /** Length of the segment before the one that is written to, where this log has filled it. */
  #previousBytes: number | undefined
  /** Whether something may lie behind the log's end that was never appended. */
  #isRagged = false
  /** Whether an append or a sync has failed, and no sync came to a good end since. */
  #hasFailed = false
  /** Whether a sync has failed and nothing was written again since. */
  #isDoubtful = false

  /** Appends from `position` on: the end of the newest segment, or the start of a new one. */
  constructor(files: SegmentFiles, position: LogPosition, init: SegmentLogInit = {}) {
    this.#files = files
    this.#segmentBytes = init.segmentBytes ?? SEGMENT_BYTES
    this.#position = position
    this.#synced = position
    this.#noted = position
  }

  /**
   * Whether something was tried that failed: stable storage may hold what the log does not, until
   * the next sync.
   */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Where the next record will go. */
  get position(): LogPosition {
    return this.#position
  }

  /**
   * Writes items, in the order of the calls, and tells where they went once they can be read.
   * Before them goes a note of what has been synced since the last one: by it a rotten record can
   * be told from a torn end of the log. At the begin of a segment it says how long the one before
   * was: by that it is known whether the end of that one was lost.
   */
  async append(items: readonly LogItem[], taken: Taken): Promise<void> {
    using _turn = await this.#turn.acquire(1, noHurry)
    await this.#mend()
    const file = await this.#segment()
    const synced = this.#synced
    const follows = this.#position.offset === 0 ? this.#previousBytes : undefined
    const isNoted = comparePositions(synced, this.#noted) === 0 && follows === undefined
    const notes = isNoted ? [] : [noteItem('synced', encodeSynced({ position: synced, follows }))]
    try {
      const places = await this.#append(file, [...notes, ...items])
      this.#noted = synced
      taken(places.slice(notes.length))
    } catch (error) {
      this.#isRagged = true
      this.#hasFailed = true
      await this.#mend().catch(() => undefined) // whoever comes next tries again, and is told
      throw error
    }
  }

  /**
   * Cuts off what a failed write has left behind the log's end: a recovery would take it for a part
   * of the log, and a full disk needs the space.
   */
  async #mend(): Promise<void> {
    if (!this.#isRagged) return
    await this.#current?.truncate(this.#position.offset)
    this.#isRagged = false
  }

  async #append(file: DiskFile, items: readonly LogItem[]): Promise<RecordLocation[]> {
    const locations: RecordLocation[] = []
    const pieces = new LogPieces(this.#stagingFor(items))
    const { segment } = this.#position
    let offset = this.#position.offset
    for (const { kind, key, bytes, packing, size } of items) {
      const check = checkOf(kind, packing, bytes)
      pieces.add({ kind, key, storedBytes: bytes.length, size, packing, check }, bytes)
      offset += RECORD_HEADER_BYTES
      locations.push({ segment, offset, bytes: bytes.length, size, packing, check })
      offset += bytes.length
    }
    await writeAll(file, pieces.take(), this.#position.offset)
    this.#position = { segment, offset }
    return locations
  }

  /** Room for copies; free again when the write is over, because one follows the other. */
  #stagingFor(items: readonly LogItem[]): Buffer {
    const bytes = stagingBytes(items)
    if (bytes > STAGING_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
    if (bytes > this.#staging.length) {
      this.#staging = Buffer.allocUnsafeSlow(Math.min(2 * bytes, STAGING_BYTES_MAX))
    }
    return this.#staging
  }

  /** The file to append to; begins a new one where the newest is full. */
  async #segment(): Promise<DiskFile> {
    if (this.#current !== undefined && this.#position.offset >= this.#segmentBytes) {
      this.#current = undefined // its handle stays among the unsynced until the next sync
      this.#previousBytes = this.#position.offset
      this.#position = { segment: this.#position.segment + 1, offset: 0 }
    }
    if (this.#current === undefined) {
      const path = this.#files.pathOf(this.#position.segment)
      const how = this.#position.offset === 0 ? 'begin' : 'write'
      this.#current = await this.#files.disk.open(path, how)
      this.#unsynced.push(this.#current)
      this.#newNames = true
    }
    return this.#current
  }

  /**
   * Brings to stable storage all that was appended before; says up to where. Only one call at a
   * time may be under way. @throws CastoreError 'record-corrupt' where a sync that failed has cost
   * what was appended: from then on each one fails, until the store is opened again
   */
  async sync(): Promise<LogPosition> {
    const { files, current, newNames, position } = await this.#takeUnsynced()
    try {
      if (this.#isDoubtful) {
        await writeAgain(this.#files, { from: this.#synced, to: position })
        this.#isDoubtful = false
      }
      for (const file of files) {
        await file.sync()
        // What was the current one then may be full by now, with more in it than this sync covers.
        if (file !== current) {
          this.#unsynced.splice(this.#unsynced.indexOf(file), 1)
          await file.close()
        }
      }
      if (newNames) await this.#files.syncNames()
    } catch (error) {
      this.#newNames ||= newNames
      this.#isDoubtful = true
      this.#hasFailed = true
      throw error
    }
    this.#synced = position
    return position
  }

  async #takeUnsynced(): Promise<{
    files: DiskFile[]
    current: DiskFile | undefined
    newNames: boolean
    position: LogPosition
  }> {
    using _turn = await this.#turn.acquire(1, noHurry) // a write under way counts as before
    await this.#mend()
    const newNames = this.#newNames
    this.#newNames = false
    this.#hasFailed = false
    const files = [...this.#unsynced]
    return { files, current: this.#current, newNames, position: this.#position }
  }

  async close(): Promise<void> {
    if (comparePositions(this.#synced, this.#noted) !== 0) {
      // A note that can not be written, on a full disk, is no loss as long as nothing rots.
      await this.append([], () => undefined).catch(() => undefined)
    }
    this.#current = undefined
    const closed = await Promise.allSettled(this.#unsynced.splice(0).map((file) => file.close()))
    for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason
  }
}
