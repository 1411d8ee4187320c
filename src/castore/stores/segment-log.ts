import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { unhurriedCall } from '../../foundation/call.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { isContentAddressed, type RecordKind, type StoredRecord } from '../record-store.ts'
import type { LogPosition, RecordLocation } from './record-location.ts'
import type { SegmentFiles } from './segment-files.ts'
import { encodeRecordHeader, RECORD_HEADER_BYTES } from './segment-record.ts'

/** A segment that has grown past this many bytes is closed and the next one begun. */
export const SEGMENT_BYTES = 64 * 1024 * 1024

/** Records up to this many bytes are copied together, so that one write carries many. */
const COPY_BYTES_MAX = 32 * 1024

/** The staging buffer for such copies is kept from write to write up to this many bytes. */
const STAGING_BYTES_MAX = 4 * 1024 * 1024

const noHurry = unhurriedCall()

/**
 * The writing end of the log: appends records to the newest segment file, in the order of the
 * calls, and brings them to stable storage when asked. A write that fails changes nothing.
 */
export class SegmentLog {
  readonly #files: SegmentFiles
  readonly #turn = new Semaphore(1)
  readonly #unsynced: FileHandle[] = []
  #current: FileHandle | undefined
  #newNames = false
  #staging = Buffer.alloc(0)
  #position: LogPosition

  /** Appends from `position` on: the end of the newest segment, or the start of a new one. */
  constructor(files: SegmentFiles, position: LogPosition) {
    this.#files = files
    this.#position = position
  }

  /** Where the next record will go. */
  get position(): LogPosition {
    return this.#position
  }

  /** Writes the records; resolves once they can be read, with their places in the same order. */
  async append(kind: RecordKind, records: readonly StoredRecord[]): Promise<RecordLocation[]> {
    using _turn = await this.#turn.acquire(1, noHurry)
    const handle = await this.#segment()
    try {
      return await this.#append(handle, kind, records)
    } catch (error) {
      // What was half written lies behind the log's end and is overwritten by the next append; it
      // is cut off all the same, so that a full disk gets its space back.
      await handle.truncate(this.#position.offset).catch(() => undefined)
      throw error
    }
  }

  async #append(
    handle: FileHandle,
    kind: RecordKind,
    records: readonly StoredRecord[],
  ): Promise<RecordLocation[]> {
    const locations: RecordLocation[] = []
    const pieces = new Pieces(this.#stagingFor(records))
    const { segment } = this.#position
    let offset = this.#position.offset
    for (const { key, bytes } of records) {
      const check = isContentAddressed(kind) ? 0 : crc32(bytes)
      pieces.add({ kind, key, storedBytes: bytes.length, check }, bytes)
      offset += RECORD_HEADER_BYTES
      locations.push({ segment, offset, bytes: bytes.length, check })
      offset += bytes.length
    }
    await writeAll(handle, pieces.take(), this.#position.offset)
    this.#position = { segment, offset }
    return locations
  }

  /** Room for copies; free again when the write is over, because one follows the other. */
  #stagingFor(records: readonly StoredRecord[]): Buffer {
    const bytes = stagingBytes(records)
    if (bytes > STAGING_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
    if (bytes > this.#staging.length) {
      this.#staging = Buffer.allocUnsafeSlow(Math.min(2 * bytes, STAGING_BYTES_MAX))
    }
    return this.#staging
  }

  /** The file to append to; begins a new one where the newest is full. */
  async #segment(): Promise<FileHandle> {
    if (this.#current !== undefined && this.#position.offset >= SEGMENT_BYTES) {
      this.#current = undefined // its handle stays among the unsynced until the next sync
      this.#position = { segment: this.#position.segment + 1, offset: 0 }
    }
    if (this.#current === undefined) {
      const path = this.#files.pathOf(this.#position.segment)
      this.#current = await open(path, this.#position.offset === 0 ? 'w' : 'r+')
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
    const { handles, newNames, position } = await this.#takeUnsynced()
    for (const handle of handles) {
      await handle.datasync()
      if (handle !== this.#current) {
        this.#unsynced.splice(this.#unsynced.indexOf(handle), 1)
        await handle.close()
      }
    }
    if (newNames) await this.#files.syncNames()
    return position
  }

  async #takeUnsynced(): Promise<{
    handles: FileHandle[]
    newNames: boolean
    position: LogPosition
  }> {
    using _turn = await this.#turn.acquire(1, noHurry) // a write under way counts as before
    const newNames = this.#newNames
    this.#newNames = false
    return { handles: [...this.#unsynced], newNames, position: this.#position }
  }

  async close(): Promise<void> {
    for (const handle of this.#unsynced.splice(0)) await handle.close()
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

  add(header: Parameters<typeof encodeRecordHeader>[0], bytes: Uint8Array): void {
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

/** How many bytes of staging a write of these records needs. */
function stagingBytes(records: readonly StoredRecord[]): number {
  let total = records.length * RECORD_HEADER_BYTES
  for (const { bytes } of records) if (bytes.length <= COPY_BYTES_MAX) total += bytes.length
  return total
}

/** How many pieces one system call may carry on every system that Node runs on. */
const WRITE_PIECES_MAX = 512

async function writeAll(handle: FileHandle, pieces: Uint8Array[], start: number): Promise<void> {
  let position = start
  for (let i = 0; i < pieces.length; i += WRITE_PIECES_MAX) {
    let rest = pieces.slice(i, i + WRITE_PIECES_MAX)
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, position)
      position += bytesWritten
      rest = behind(rest, bytesWritten)
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
