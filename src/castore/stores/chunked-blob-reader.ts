import type { Call } from '../../foundation/call.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import type { BlobReader, BlobSource, ChunkRef } from '../blob-store.ts'
import { CastoreError } from '../castore-error.ts'

/** How many bytes of chunks are asked for at once. */
const WINDOW_BYTES = 1024 * 1024

/** How many windows are being read beyond the one that the consumer has. */
const WINDOWS_AHEAD = 2

/** Reads a blob chunk by chunk from whoever has the chunks. */
export class ChunkedBlobReader implements BlobReader {
  readonly size: number
  readonly #source: Pick<BlobSource, 'readChunks'>
  readonly #layout: readonly ChunkRef[]

  constructor(source: Pick<BlobSource, 'readChunks'>, layout: readonly ChunkRef[]) {
    this.#source = source
    this.#layout = layout
    this.size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
  }

  async *read(offset: number, call: Call): AsyncGenerator<Uint8Array> {
    const { windows, skip } = windowsFrom(this.#layout, offset)
    let leading = skip
    for await (const pieces of readAhead(windows, WINDOWS_AHEAD, (it) => this.#window(it, call))) {
      for (const bytes of pieces) {
        call.signal.throwIfAborted()
        yield leading === 0 ? bytes : bytes.subarray(leading)
        leading = 0
      }
    }
  }

  async #window(chunks: readonly ChunkRef[], call: Call): Promise<Uint8Array[]> {
    const pieces = await this.#source.readChunks(
      chunks.map((chunk) => chunk.digest),
      call,
    )
    return pieces.map((bytes, i) => {
      const { digest, size } = chunks[i]!
      if (bytes === undefined) {
        const what = `chunk ${digest} is not held`
        throw new CastoreError({ code: 'incomplete', digest: digest.hex }, what)
      }
      if (bytes.length !== size) {
        const what = `chunk ${digest} has ${bytes.length} bytes where ${size} were promised`
        throw new CastoreError({ code: 'digest-mismatch', digest: digest.hex }, what)
      }
      return bytes
    })
  }
}

/** The chunks that cover a blob from `offset` on, and how much of the first to leave out. */
function windowsFrom(
  layout: readonly ChunkRef[],
  offset: number,
): { windows: ChunkRef[][]; skip: number } {
  const windows: ChunkRef[][] = []
  let window: ChunkRef[] = []
  let windowBytes = 0
  let skip = offset
  let begun = false
  for (const chunk of layout) {
    if (!begun && skip >= chunk.size) {
      skip -= chunk.size
      continue
    }
    begun = true
    if (windowBytes > 0 && windowBytes + chunk.size > WINDOW_BYTES) {
      windows.push(window)
      window = []
      windowBytes = 0
    }
    window.push(chunk)
    windowBytes += chunk.size
  }
  if (window.length > 0) windows.push(window)
  return { windows, skip: begun ? skip : 0 }
}
