import type { RecordKind, RecordName } from '../record-store.ts'
import type { Disk, DiskFile } from './disk.ts'
import type { LogPosition, RecordLocation } from './record-location.ts'
import { decodeRemoval } from './removal-codec.ts'
import {
  decodeRecordHeader,
  isSound,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from './segment-record.ts'
import { decodeSynced, type SyncedNote } from './synced-codec.ts'

/** How much of a segment is read at once. */
const READ_BYTES = 4 * 1024 * 1024

/** What a header that is looked for begins with. */
const MAGIC = Buffer.from('CRN1', 'latin1')

/** What scanning a segment came upon. */
export type ScanStep =
  | {
      readonly type: 'record'
      readonly kind: RecordKind
      readonly key: Uint8Array
      readonly location: RecordLocation
      readonly stored: Uint8Array
      /** Whether it was found by looking for a header: it may lie within some content. */
      readonly isDoubtful: boolean
    }
  | { readonly type: 'removal'; readonly names: readonly RecordName[]; readonly end: LogPosition }
  /** Up to that position the log was on stable storage when this was written. */
  | ({ readonly type: 'synced' } & SyncedNote)
  /** There is no sound record here, but its name. Whoever goes on gets those that come behind. */
  | { readonly type: 'damage'; readonly offset: number; readonly name?: RecordName }
  /** Last: where the last sound record ends. */
  | { readonly type: 'end'; readonly offset: number; readonly fileBytes: number }

/** Reads the records of a segment file from `start` on and checks each one. */
export async function* scanSegment(
  components: { disk: Disk },
  { path, segment, start }: { path: string; segment: number; start: number },
): AsyncGenerator<ScanStep> {
  const facts = await components.disk.facts(path)
  const file = await components.disk.open(path, 'read')
  try {
    const window = new FileWindow(file, facts?.bytes ?? 0)
    let offset = start
    let soundEnd = start
    let isDoubtful = false
    while (offset < window.fileBytes) {
      const header = decodeRecordHeader(await window.at(offset, RECORD_HEADER_BYTES), 0)
      if (header === undefined) {
        yield { type: 'damage', offset }
        const next = await nextHeader(window, offset + 1)
        if (next === undefined) break
        isDoubtful = true
        offset = next
        continue
      }
      const from = offset + RECORD_HEADER_BYTES
      const bytes = await window.at(from, header.storedBytes)
      const end = from + header.storedBytes
      if (bytes.length < header.storedBytes || !isSound(header, bytes)) {
        yield damageOf(header, offset)
        offset = end
        continue
      }
      offset = end
      soundEnd = end
      const { kind, key, size, packing, check } = header
      if (kind === 'removal') {
        const names = isDoubtful ? [] : (decodeRemoval(bytes) ?? [])
        yield { type: 'removal', names, end: { segment, offset: end } }
      } else if (kind === 'synced') {
        const note = decodeSynced(bytes)
        if (note !== undefined) yield { type: 'synced', ...note }
      } else {
        const place = { segment, offset: from, bytes: bytes.length, size, packing, check }
        yield { type: 'record', kind, key, location: place, stored: bytes, isDoubtful }
      }
    }
    yield { type: 'end', offset: soundEnd, fileBytes: window.fileBytes }
  } finally {
    await file.close()
  }
}

function damageOf({ kind, key }: RecordHeader, offset: number): ScanStep {
  if (kind === 'removal' || kind === 'synced') return { type: 'damage', offset }
  return { type: 'damage', offset, name: { kind, key } }
}

/** The offset of the next sound header, if there is one. */
async function nextHeader(window: FileWindow, from: number): Promise<number | undefined> {
  let offset = from
  while (offset + RECORD_HEADER_BYTES <= window.fileBytes) {
    const bytes = await window.at(offset, READ_BYTES)
    const found = bytes.indexOf(MAGIC)
    if (found < 0) {
      offset += Math.max(bytes.length - MAGIC.length + 1, 1)
      continue
    }
    offset += found
    const header = await window.at(offset, RECORD_HEADER_BYTES)
    if (decodeRecordHeader(header, 0) !== undefined) return offset
    offset++
  }
  return undefined
}

/** A file read forward in large pieces. */
class FileWindow {
  readonly fileBytes: number
  readonly #file: DiskFile
  #window: Buffer = Buffer.alloc(0)
  #begin = 0

  constructor(file: DiskFile, fileBytes: number) {
    this.#file = file
    this.fileBytes = fileBytes
  }

  /** So many bytes from `offset` on, or as many as the file has. */
  async at(offset: number, bytes: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(bytes, this.fileBytes - offset))
    if (offset < this.#begin || offset + wanted > this.#begin + this.#window.length) {
      await this.#load(offset, wanted)
    }
    const from = offset - this.#begin
    return this.#window.subarray(from, from + wanted)
  }

  async #load(offset: number, wanted: number): Promise<void> {
    const end = this.#begin + this.#window.length
    const kept = offset >= this.#begin && offset < end ? end - offset : 0
    const bytes = Math.min(Math.max(wanted, READ_BYTES), this.fileBytes - offset)
    const next = Buffer.allocUnsafe(bytes)
    this.#window.copy(next, 0, this.#window.length - kept)
    let filled = kept
    while (filled < wanted) {
      const read = await this.#file.read(next.subarray(filled), offset + filled)
      if (read === 0) break
      filled += read
    }
    this.#window = next.subarray(0, filled)
    this.#begin = offset
  }
}
