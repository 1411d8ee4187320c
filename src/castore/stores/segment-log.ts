import { unhurriedCall } from '../../foundation/call.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import type { Packing, RecordKind, RecordName, StoredRecord } from '../record-store.ts'
import type { DiskFile } from './disk.ts'
import { comparePositions, type LogPosition, type RecordLocation } from './record-location.ts'
import { encodeRemoval } from './removal-codec.ts'
import type { SegmentFiles } from './segment-files.ts'
import {
  checkOf,
  encodeRecordHeader,
  type LogNote,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from './segment-record.ts'
import { encodeSynced } from './synced-codec.ts'

/** A segment that has grown past this many bytes is closed and the next one begun. */
export const SEGMENT_BYTES = 64 * 1024 * 1024

/** Records up to this many bytes are copied together, so that one write carries many. */
const COPY_BYTES_MAX = 32 * 1024

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

/**
 * The writing end of the log: appends records to the newest segment file, in the order of the
 * calls, and brings them to stable storage when asked. A write that fails changes nothing.
 */
export class SegmentLog {
  readonly #files: SegmentFiles
  readonly #turn = new Semaphore(1)
  readonly #unsynced: DiskFile[] = []
  #current: DiskFile | undefined
  #newNames = false
  #staging = Buffer.alloc(0)
  #position: LogPosition
  /** Up to where the log is on stable storage, and up to where it says so itself. */
  #synced: LogPosition
  #noted: LogPosition

  /** Appends from `position` on: the end of the newest segment, or the start of a new one. */
  constructor(files: SegmentFiles, position: LogPosition) {
    this.#files = files
    this.#position = position
    this.#synced = position
    this.#noted = position
  }

  /** Where the next record will go. */
  get position(): LogPosition {
    return this.#position
  }

  /**
   * Writes items; resolves once they can be read, with their places in the same order. Before them
   * goes a note of what has been synced since the last one: by it a rotten record can be told from
   * a torn end of the log.
   */
  async append(items: readonly LogItem[]): Promise<RecordLocation[]> {
    using _turn = await this.#turn.acquire(1, noHurry)
    const file = await this.#segment()
    try {
      if (comparePositions(this.#synced, this.#noted) === 0) return await this.#append(file, items)
      const note = noteItem('synced', encodeSynced(this.#synced))
      const [, ...places] = await this.#append(file, [note, ...items])
      this.#noted = this.#synced
      return places
    } catch (error) {
      // What was half written lies behind the log's end and is overwritten by the next append; it
      // is cut off all the same, so that a full disk gets its space back.
      await file.truncate(this.#position.offset).catch(() => undefined)
      throw error
    }
  }

  async #append(file: DiskFile, items: readonly LogItem[]): Promise<RecordLocation[]> {
    const locations: RecordLocation[] = []
    const pieces = new Pieces(this.#stagingFor(items))
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
    if (this.#current !== undefined && this.#position.offset >= SEGMENT_BYTES) {
      this.#current = undefined // its handle stays among the unsynced until the next sync
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
   * time may be under way.
   */
  async sync(): Promise<LogPosition> {
    const { files, newNames, position } = await this.#takeUnsynced()
    try {
      for (const file of files) {
        await file.sync()
        if (file !== this.#current) {
          this.#unsynced.splice(this.#unsynced.indexOf(file), 1)
          await file.close()
        }
      }
      if (newNames) await this.#files.syncNames()
    } catch (error) {
      this.#newNames ||= newNames
      throw error
    }
    this.#synced = position
    return position
  }

  async #takeUnsynced(): Promise<{
    files: DiskFile[]
    newNames: boolean
    position: LogPosition
  }> {
    using _turn = await this.#turn.acquire(1, noHurry) // a write under way counts as before
    const newNames = this.#newNames
    this.#newNames = false
    return { files: [...this.#unsynced], newNames, position: this.#position }
  }

  async close(): Promise<void> {
    if (comparePositions(this.#synced, this.#noted) !== 0) {
      // A note that can not be written, on a full disk, is no loss as long as nothing rots.
      await this.append([]).catch(() => undefined)
    }
    for (const file of this.#unsynced.splice(0)) await file.close()
    this.#current = undefined
  }
}

/** Collects headers and bytes for one write: small ones copied together, large ones as they are. */
class Pieces {
  readonly #pieces: Uint8Array[] = []
  readonly #staging: Buffer
  #begin = 0
  #end = 0

  constructor(staging: Buffer) {
    this.#staging = staging
  }

  add(header: RecordHeader, bytes: Uint8Array): void {
    encodeRecordHeader(header, this.#staging, this.#end)
    this.#end += RECORD_HEADER_BYTES
    if (bytes.length <= COPY_BYTES_MAX) {
      this.#staging.set(bytes, this.#end)
      this.#end += bytes.length
    } else {
      this.#flush()
      this.#pieces.push(bytes)
    }
  }

  take(): Uint8Array[] {
    this.#flush()
    return this.#pieces
  }

  #flush(): void {
    if (this.#end > this.#begin) this.#pieces.push(this.#staging.subarray(this.#begin, this.#end))
    this.#begin = this.#end
  }
}

/** How many bytes of staging a write of these needs. */
function stagingBytes(items: readonly LogItem[]): number {
  let total = items.length * RECORD_HEADER_BYTES
  for (const { bytes } of items) if (bytes.length <= COPY_BYTES_MAX) total += bytes.length
  return total
}

/** How many pieces one system call may carry on every system that Node runs on. */
const WRITE_PIECES_MAX = 512

async function writeAll(file: DiskFile, pieces: Uint8Array[], start: number): Promise<void> {
  let position = start
  for (let i = 0; i < pieces.length; i += WRITE_PIECES_MAX) {
    let rest = pieces.slice(i, i + WRITE_PIECES_MAX)
    while (rest.length > 0) {
      const written = await file.write(rest, position)
      position += written
      rest = behind(rest, written)
    }
  }
}

/** What remains of the pieces once their first `written` bytes are gone: a write may be short. */
function behind(pieces: Uint8Array[], written: number): Uint8Array[] {
  let skip = written
  let i = 0
  while (i < pieces.length && skip >= pieces[i]!.length) skip -= pieces[i++]!.length
  const rest = pieces.slice(i)
  if (skip > 0) rest[0] = rest[0]!.subarray(skip)
  return rest
}
