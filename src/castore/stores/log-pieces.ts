import type { DiskFile } from './disk.ts'
import { encodeRecordHeader, RECORD_HEADER_BYTES, type RecordHeader } from './segment-record.ts'

/** Records up to this many bytes are copied together, so that one write carries many. */
const COPY_BYTES_MAX = 32 * 1024

/** Collects headers and bytes for one write: small ones copied together, large ones as they are. */
export class LogPieces {
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
export function stagingBytes(items: readonly { readonly bytes: Uint8Array }[]): number {
  let total = items.length * RECORD_HEADER_BYTES
  for (const { bytes } of items) if (bytes.length <= COPY_BYTES_MAX) total += bytes.length
  return total
}

/** How many pieces one system call may carry on every system that Node runs on. */
const WRITE_PIECES_MAX = 512

/** Writes pieces one behind the other from `start` on, in as many calls as it takes. */
export async function writeAll(
  file: DiskFile,
  pieces: readonly Uint8Array[],
  start: number,
): Promise<void> {
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
