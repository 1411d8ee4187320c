import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { blake3 } from '../../foundation/blake3.ts'
import { equalBytes } from '../../foundation/bytes.ts'
import { isContentAddressed } from '../record-store.ts'
import type { IndexEntry } from './level-record-index.ts'
import { decodeRecordHeader, RECORD_HEADER_BYTES, type RecordHeader } from './segment-record.ts'

/** How much of a segment is read at once. */
const READ_BYTES = 4 * 1024 * 1024

/** What scanning a segment came upon: a sound record, or, last, where the sound ones end. */
export type ScanStep =
  | { readonly type: 'record'; readonly entry: IndexEntry }
  | { readonly type: 'end'; readonly offset: number; readonly fileBytes: number }

/**
 * Reads the records of a segment file from `start` on and checks each one. Ends at the end of the
 * file or before the first record that is torn or rotten.
 */
export async function* scanSegment(
  path: string,
  segment: number,
  start: number,
): AsyncGenerator<ScanStep> {
  await using handle = await open(path, 'r')
  const fileBytes = (await handle.stat()).size
  let window = Buffer.alloc(0)
  let windowOffset = start
  let offset = start

  // Makes at least `bytes` from `offset` available, or as much as the file has.
  const fill = async (bytes: number): Promise<Buffer> => {
    const have = windowOffset + window.length - offset
    if (have >= bytes || offset + have >= fileBytes) return window.subarray(offset - windowOffset)
    const want = Math.min(Math.max(bytes, READ_BYTES), fileBytes - offset)
    const next = Buffer.allocUnsafe(want)
    window.copy(next, 0, offset - windowOffset)
    const { bytesRead } = await handle.read(next, have, want - have, offset + have)
    window = next.subarray(0, have + bytesRead)
    windowOffset = offset
    return window
  }

  for (;;) {
    const header = decodeRecordHeader(await fill(RECORD_HEADER_BYTES), 0)
    if (header === undefined) break
    const whole = await fill(RECORD_HEADER_BYTES + header.storedBytes)
    const bytes = whole.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + header.storedBytes)
    if (bytes.length < header.storedBytes || !isSound(header, bytes)) break
    const location = {
      segment,
      offset: offset + RECORD_HEADER_BYTES,
      bytes: header.storedBytes,
      check: header.check,
    }
    yield { type: 'record', entry: { kind: header.kind, key: header.key, location } }
    offset += RECORD_HEADER_BYTES + header.storedBytes
  }
  yield { type: 'end', offset, fileBytes }
}

/** Whether a record's bytes are what its header says. */
export function isSound(
  record: Pick<RecordHeader, 'kind' | 'key' | 'check'>,
  bytes: Uint8Array,
): boolean {
  return isContentAddressed(record.kind)
    ? equalBytes(blake3(bytes), record.key)
    : crc32(bytes) === record.check
}
