import type { Call } from '../../foundation/call.ts'
import type { Log } from '../../foundation/log.ts'
import type { Semaphore } from '../../foundation/semaphore.ts'
import { CastoreError } from '../castore-error.ts'
import type { Compacted } from '../record-keeper.ts'
import type { RecordName } from '../record-store.ts'
import type { PendingIndex } from './pending-index.ts'
import { isSamePlace, type RecordLocation } from './record-location.ts'
import { REMOVED_PER_NOTE_MAX } from './removal-codec.ts'
import type { SegmentFiles } from './segment-files.ts'
import { type LogItem, removalItem, type SegmentLog } from './segment-log.ts'
import { RECORD_HEADER_BYTES } from './segment-record.ts'
import { type ScanStep, scanSegment } from './segment-scan.ts'

/** How many bytes are moved with one write. */
const MOVED_BYTES = 4 * 1024 * 1024

/** How many records are moved with one write. */
const MOVED_RECORDS = 4096

/** What compaction works with. */
export interface CompactionParts {
  readonly files: SegmentFiles
  readonly log: SegmentLog
  readonly pending: PendingIndex
  readonly notes: Log
  /** Held while something moves, so that nothing else changes what is moved. */
  readonly changing: Semaphore
  locate(name: RecordName): RecordLocation | undefined
  /** Brings log and index to stable storage. */
  settle(): Promise<void>
  remove(names: readonly RecordName[]): Promise<void>
}

type Found = Extract<ScanStep, { type: 'record' }>

/**
 * Moves what is held of a segment to the end of the log. The file goes only when the copies and the
 * index that names them are on stable storage.
 */
export class SegmentCompaction {
  readonly #parts: CompactionParts
  readonly #segment: number
  #batch: Found[] = []
  #batchBytes = 0
  #carried: RecordName[] = []
  #movedBytes = 0

  constructor(parts: CompactionParts, init: { segment: number }) {
    this.#parts = parts
    this.#segment = init.segment
  }

  async run(call: Call): Promise<Compacted> {
    const { files, log, settle } = this.#parts
    const segment = this.#segment
    await files.syncNames() // what was removed before does not come back
    const isOldest = (await files.list())[0] === segment
    const path = files.pathOf(segment)
    let fileBytes = 0
    for await (const step of scanSegment(files, { path, segment, start: 0 })) {
      call.signal.throwIfAborted()
      if (step.type === 'record') await this.#take(step, call)
      else if (step.type === 'removal' && !isOldest) this.#carried.push(...step.names)
      else if (step.type === 'damage') await this.#leaveOut(step)
      else if (step.type === 'end') fileBytes = step.fileBytes
    }
    await this.#flush(call)
    await this.#carry(call)
    await settle()
    // The log says now that all this was synced, so the segment is known to be gone, and not lost.
    await log.append([], () => undefined)
    await settle()
    await files.remove(segment)
    return { movedBytes: this.#movedBytes, freedBytes: fileBytes - this.#movedBytes }
  }

  async #take(found: Found, call: Call): Promise<void> {
    if (!this.#isLive(found)) return
    this.#batch.push(found)
    this.#batchBytes += found.stored.length
    if (this.#batchBytes >= MOVED_BYTES || this.#batch.length >= MOVED_RECORDS) {
      await this.#flush(call)
    }
  }

  #isLive(found: Found): boolean {
    const location = this.#parts.locate(found)
    return location !== undefined && isSamePlace(location, found.location)
  }

  async #flush(call: Call): Promise<void> {
    const { log, pending, changing } = this.#parts
    using _turn = await changing.acquire(1, call)
    const moving = this.#batch.filter((found) => this.#isLive(found))
    this.#batch = []
    this.#batchBytes = 0
    if (moving.length === 0) return
    await log.append(moving.map(itemOf), (places) => {
      for (const [i, found] of moving.entries()) {
        const { kind, key, location } = found
        this.#movedBytes += RECORD_HEADER_BYTES + location.bytes
        // Content may have come here meanwhile that was elsewhere: then the copy is dead.
        if (this.#isLive(found)) pending.add({ kind, key }, places[i]!, location)
      }
    })
  }

  /**
   * Says again what was removed, while there are older segments that may hold it: or it would be
   * there again when the index is made anew.
   */
  async #carry(call: Call): Promise<void> {
    const { log, changing, locate } = this.#parts
    using _turn = await changing.acquire(1, call)
    for (let i = 0; i < this.#carried.length; i += REMOVED_PER_NOTE_MAX) {
      const names = this.#carried.slice(i, i + REMOVED_PER_NOTE_MAX)
      await this.#written(names)
      // Nothing is awaited from here to the append, which goes before what is put from now on.
      const gone = names.filter((name) => locate(name) === undefined)
      if (gone.length > 0) await log.append([removalItem(gone)], () => undefined)
    }
  }

  /** Resolves when none of these is being written: a note behind it would remove it again. */
  async #written(names: readonly RecordName[]): Promise<void> {
    for (;;) {
      const writing = names.flatMap(
        ({ kind, key }) => this.#parts.pending.reserved(kind, key) ?? [],
      )
      if (writing.length === 0) return
      await Promise.allSettled(writing)
    }
  }

  /** A rotten record is gone; where its name is unknown the segment stays as it is. */
  async #leaveOut({ name, offset }: Extract<ScanStep, { type: 'damage' }>): Promise<void> {
    const where = `segment ${this.#segment} at ${offset}`
    if (name === undefined) {
      const what = `a segment can not be compacted: ${where} it can not be read`
      throw new CastoreError({ code: 'record-corrupt', where }, what)
    }
    const location = this.#parts.locate(name)
    const isThis = location?.segment === this.#segment && location.offset > offset
    if (!isThis || location.offset - offset !== RECORD_HEADER_BYTES) return
    this.#parts.notes.warn('a rotten record was left out', { where })
    await this.#parts.remove([name])
  }
}

function itemOf({ kind, key, stored, location: { packing, size } }: Found): LogItem {
  return { kind, key, bytes: stored, packing, size }
}
