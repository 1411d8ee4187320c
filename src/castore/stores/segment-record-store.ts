import { join } from 'node:path'
import { type Call, unhurriedCall } from '../../foundation/call.ts'
import type { Log } from '../../foundation/log.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import type { Compacted, HeldRecord, RecordKeeper, SegmentUsage } from '../record-keeper.ts'
import {
  isContentAddressed,
  type PackedRecord,
  type RecordKind,
  type RecordName,
  type RecordTotals,
  type StoredRecord,
} from '../record-store.ts'
import { Condemnation } from './condemnation.ts'
import type { Disk } from './disk.ts'
import { GroupSync } from './group-sync.ts'
import { LevelRecordIndex } from './level-record-index.ts'
import type { PendingIndex } from './pending-index.ts'
import { contentOf, type Elsewhere, NOWHERE } from './record-content.ts'
import { behind, type RecordLocation } from './record-location.ts'
import { RecordNames } from './record-names.ts'
import { REMOVED_PER_NOTE_MAX } from './removal-codec.ts'
import { SegmentCompaction } from './segment-compaction.ts'
import { SegmentFiles } from './segment-files.ts'
import { itemOf, removalItem, SegmentLog, type SegmentLogInit } from './segment-log.ts'
import { readRecords, rotten } from './segment-reads.ts'
import { isSound } from './segment-record.ts'
import { recover } from './segment-recovery.ts'
import { recordsBefore, segmentBytes, segmentUsage } from './segment-survey.ts'
import { checkFormat } from './store-format.ts'
import { systemDisk } from './system-disk.ts'

/** After this many bytes without a sync, one is begun in the background. */
export const UNSYNCED_BYTES_MAX = 64 * 1024 * 1024

/** After this many records without a sync, one is begun in the background. */
export const UNSYNCED_RECORDS_MAX = 16_384

const noHurry = unhurriedCall()

/** What a store is opened with. */
export interface SegmentStoreComponents {
  readonly directory: string
  readonly log: Log
  readonly disk?: Disk
  /** Where content is read that records say is elsewhere. */
  readonly elsewhere?: Elsewhere
}

/** How a store is tuned. */
export interface SegmentStoreInit extends SegmentLogInit {
  /**
   * After so many bytes without a sync, one is begun in the background;
   * {@link UNSYNCED_BYTES_MAX} by default.
   */
  readonly unsyncedBytesMax?: number
}

/**
 * Records in append-only segment files under a Level index. The log is the truth: the index learns
 * of a record only once it is on stable storage, remembers how far it has read, and catches up at
 * start, where a torn tail is cut at the last whole record.
 */
export class SegmentRecordStore implements RecordKeeper {
  readonly #files: SegmentFiles
  readonly #log: SegmentLog
  readonly #index: LevelRecordIndex
  readonly #pending: PendingIndex
  readonly #elsewhere: Elsewhere
  readonly #notes: Log
  readonly #reading: Parameters<typeof readRecords>[0]
  /** To be removed soon, and being removed just now. */
  readonly #condemnation = new Condemnation()
  readonly #doomed = new RecordNames()
  /** Held while something changes that is not only added to: names, removals, moves. */
  readonly #changing = new Semaphore(1)
  #withdrawing: Promise<unknown> = Promise.resolve()
  readonly #syncing = new GroupSync({ work: (isLasting) => this.#bringToStorage(isLasting) })
  readonly #unsyncedBytesMax: number

  private constructor(
    parts: {
      files: SegmentFiles
      log: SegmentLog
      index: LevelRecordIndex
      pending: PendingIndex
      elsewhere: Elsewhere
      notes: Log
    },
    init: SegmentStoreInit,
  ) {
    this.#unsyncedBytesMax = init.unsyncedBytesMax ?? UNSYNCED_BYTES_MAX
    this.#files = parts.files
    this.#log = parts.log
    this.#index = parts.index
    this.#pending = parts.pending
    this.#elsewhere = parts.elsewhere
    this.#notes = parts.notes
    this.#reading = { files: parts.files, locate: (kind, keys) => this.#locate(kind, keys) }
  }

  /**
   * Opens or creates a store in `directory`, catching up with the log first.
   * @throws CastoreError 'store-unusable'
   */
  static async open(
    components: SegmentStoreComponents,
    init: SegmentStoreInit = {},
  ): Promise<SegmentRecordStore> {
    const { directory, log, disk = systemDisk, elsewhere = NOWHERE } = components
    const segments = join(directory, 'segments')
    await disk.makeDirectory(segments)
    await checkFormat(directory)
    const index = await LevelRecordIndex.open(join(directory, 'index'), log)
    const files = new SegmentFiles({ disk }, { directory: segments })
    try {
      const { pending, end } = await recover({ files, index, log })
      const writing = new SegmentLog(files, end, init)
      const parts = { files, log: writing, index, pending, elsewhere, notes: log }
      return new SegmentRecordStore(parts, init)
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
    this.#condemnation.touch(kind, keys)
    return this.#locate(kind, keys).map((location) => location?.size)
  }

  async get(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]> {
    call.signal.throwIfAborted()
    this.#condemnation.touch(kind, keys)
    return await this.#contents(kind, keys, (name, location) => this.#withdraw(name, location))
  }

  async peek(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]> {
    call.signal.throwIfAborted()
    return await this.#contents(kind, keys, () => undefined)
  }

  async #contents(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    onRotten: (name: RecordName, location: RecordLocation) => void,
  ): Promise<(Uint8Array | undefined)[]> {
    return await readRecords(this.#reading, { kind, keys }, async (name, location, stored) => {
      const content = await contentOf(name, location, stored, this.#elsewhere)
      if (content !== undefined) return content
      onRotten(name, location)
      // What lies elsewhere may change or go at any time: that is no fault of the store.
      if (location.packing === 'elsewhere') return undefined
      throw rotten(name, location)
    })
  }

  /** Forgets a rotten record: it is absent from now on, and may be had from somebody else. */
  #withdraw({ kind, key }: RecordName, location: RecordLocation): void {
    this.#notes.warn('a record is not what was written, and is withdrawn', { kind, ...location })
    const removal = this.remove([{ kind, key }], noHurry).catch((error) => {
      this.#notes.warn('a rotten record could not be withdrawn', { error })
    })
    this.#withdrawing = Promise.all([this.#withdrawing, removal])
  }

  async getPacked(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(PackedRecord | undefined)[]> {
    call.signal.throwIfAborted()
    this.#condemnation.touch(kind, keys)
    return await readRecords(this.#reading, { kind, keys }, async (name, location, stored) => {
      const { packing, check, size } = location
      if (packing === 'elsewhere') return undefined
      if (!isSound({ ...name, packing, check }, stored)) throw rotten(name, location)
      return { packing, size, bytes: stored }
    })
  }

  async put(kind: RecordKind, records: readonly StoredRecord[], call: Call): Promise<void> {
    call.signal.throwIfAborted()
    if (this.#syncing.hasFailed) await this.sync(call)
    const keys = records.map((record) => record.key)
    this.#condemnation.touch(kind, keys)
    if (isContentAddressed(kind)) await this.#putContent(kind, records, keys)
    else {
      using _turn = await this.#changing.acquire(1, call)
      await this.#append(kind, records)
    }
    const { bytes, records: count } = this.#pending.size
    if (bytes >= this.#unsyncedBytesMax || count >= UNSYNCED_RECORDS_MAX) this.#syncing.begin()
  }

  async #putContent(
    kind: RecordKind,
    records: readonly StoredRecord[],
    keys: readonly Uint8Array[],
  ): Promise<void> {
    const known = this.#locate(kind, keys)
    // Nothing is awaited between the look at what is reserved and reserving it, so that two puts
    // of the same content at the same time store it once.
    const wanted: StoredRecord[] = []
    const others: Promise<void>[] = []
    const taken = new Set<string>()
    for (const [i, record] of records.entries()) {
      const isHere = known[i] !== undefined && known[i].packing !== 'elsewhere'
      const comesHere = record.stored?.packing !== 'elsewhere'
      if (isHere || (known[i] !== undefined && !comesHere)) continue
      const name = Buffer.from(record.key).toString('latin1')
      if (taken.has(name)) continue
      taken.add(name)
      const other = this.#pending.reserved(kind, record.key)
      if (other !== undefined) {
        others.push(other)
        continue
      }
      wanted.push(record)
    }
    if (wanted.length > 0) await this.#append(kind, wanted)
    await Promise.all(others)
  }

  async #append(kind: RecordKind, records: readonly StoredRecord[]): Promise<void> {
    const written = Promise.withResolvers<void>()
    written.promise.catch(() => undefined) // told to whoever waits for the same record
    using _reservation = this.#pending.reserve(kind, records, written.promise)
    try {
      const items = records.map((record) => itemOf(kind, record))
      await this.#log.append(items, (places) => {
        for (const [i, { key }] of records.entries()) {
          this.#pending.add({ kind, key }, places[i]!, this.#known(kind, key))
        }
      })
      written.resolve()
    } catch (error) {
      written.reject(error)
      throw error
    }
  }

  async remove(names: readonly RecordName[], call: Call): Promise<void> {
    using _turn = await this.#changing.acquire(1, call)
    await this.#remove(names)
  }

  async #remove(names: readonly RecordName[]): Promise<void> {
    for (let i = 0; i < names.length; i += REMOVED_PER_NOTE_MAX) {
      const held = names.slice(i, i + REMOVED_PER_NOTE_MAX).flatMap(({ kind, key }) => {
        return this.#locate(kind, [key])[0] === undefined ? [] : [{ kind, key }]
      })
      if (held.length === 0) continue
      // From now on they are absent: who puts one again stores it again, behind the note.
      for (const name of held) this.#doomed.add(name)
      try {
        await this.#log.append([removalItem(held)], ([note]) => {
          for (const name of held) {
            const removed = this.#known(name.kind, name.key)
            if (removed !== undefined) this.#pending.remove(name, removed, behind(note!))
          }
        })
      } finally {
        for (const { kind, key } of held) this.#doomed.delete(kind, [key])
      }
    }
  }

  async sync(call: Call): Promise<void> {
    await unlessAborted(this.#syncing.run(), call.signal)
  }

  async #bringToStorage(isLasting: boolean): Promise<void> {
    if (this.#pending.size.records === 0 && !this.#log.hasFailed && !isLasting) return
    const position = await this.#log.sync()
    const { entries, mark } = this.#pending.upTo(position)
    await this.#index.advance(entries, mark, isLasting)
    this.#pending.settle(entries, mark)
  }

  async *keys(kind: RecordKind, call: Call): AsyncGenerator<Uint8Array> {
    await this.sync(call)
    for await (const key of this.#index.keys(kind)) {
      call.signal.throwIfAborted()
      yield key
    }
  }

  async *records(
    kind: RecordKind,
    beforeMs: number,
    call: Call,
  ): AsyncGenerator<readonly HeldRecord[]> {
    const newest = this.#log.position.segment
    await this.sync(call)
    const parts = { files: this.#files, index: this.#index }
    yield* recordsBefore(parts, { kind, beforeMs, newest }, call)
  }

  watch(): void {
    this.#condemnation.watch()
  }

  condemn(names: readonly RecordName[]): void {
    this.#condemnation.condemn(names)
  }

  isCondemned(name: RecordName): boolean {
    return this.#condemnation.has(name)
  }

  condemned(): number {
    return this.#condemnation.size
  }

  pardonAll(): void {
    this.#condemnation.pardonAll()
  }

  async removeCondemned(call: Call): Promise<void> {
    for (;;) {
      using _turn = await this.#changing.acquire(1, call)
      const names = this.#condemnation.take(REMOVED_PER_NOTE_MAX)
      if (names.length === 0) return
      await this.#remove(names)
    }
  }

  async segments(call: Call): Promise<SegmentUsage[]> {
    const newest = this.#log.position.segment
    await this.sync(call)
    return await segmentUsage({ files: this.#files, index: this.#index }, newest, call)
  }

  async compact(segment: number, call: Call): Promise<Compacted> {
    const parts = {
      files: this.#files,
      log: this.#log,
      pending: this.#pending,
      notes: this.#notes,
      changing: this.#changing,
      locate: ({ kind, key }: RecordName) => this.#locate(kind, [key])[0],
      settle: () => this.#syncing.run(true),
      remove: (names: readonly RecordName[]) => this.remove(names, call),
    }
    return await new SegmentCompaction(parts, { segment }).run(call)
  }

  async diskBytes(call: Call): Promise<number> {
    call.signal.throwIfAborted()
    return await segmentBytes(this.#files)
  }

  totals(kind: RecordKind): RecordTotals {
    return this.#pending.totals(kind)
  }

  /** Brings everything to stable storage and closes the files. */
  async close(): Promise<void> {
    try {
      await this.#withdrawing
      await this.sync(noHurry)
    } finally {
      try {
        await this.#log.close()
        await this.#files.close()
      } finally {
        await this.#index.close()
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Where a record is by what the log and the index hold, whether it is being removed or not. */
  #known(kind: RecordKind, key: Uint8Array): RecordLocation | undefined {
    const pending = this.#pending.latest(kind, key)
    return pending === undefined ? this.#index.locate(kind, [key])[0] : pending.location
  }

  #locate(kind: RecordKind, keys: readonly Uint8Array[]): (RecordLocation | undefined)[] {
    return keys.map((key) => (this.#doomed.has(kind, key) ? undefined : this.#known(kind, key)))
  }
}
