import type { Call } from '../../foundation/call.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import { type BlobReader, type BlobSource, blobBytes, type ChunkRef } from '../blob-store.ts'
import { CastoreError } from '../castore-error.ts'
import { chunksCovering, windowsOf } from './chunk-windows.ts'

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
    this.size = blobBytes(layout)
  }

  async *read(offset: number, call: Call, length = Infinity): AsyncGenerator<Uint8Array> {
    const { chunks, from } = chunksCovering(this.#layout, { from: offset, to: offset + length })
    let at = from
    const windows = windowsOf(chunks, WINDOW_BYTES)
    for await (const pieces of readAhead(windows, WINDOWS_AHEAD, (it) => this.#window(it, call))) {
      for (const bytes of pieces) {
        call.signal.throwIfAborted()
        const begin = Math.max(offset - at, 0)
        const end = Math.min(offset + length - at, bytes.length)
        at += bytes.length
        yield end - begin === bytes.length ? bytes : bytes.subarray(begin, end)
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
