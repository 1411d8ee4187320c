import type { FileHandle } from 'node:fs/promises'
import { type ChunkRef, EMPTY_BLOB } from '../castore/blob-store.ts'
import { CHUNK_BYTES_MIN, Chunker } from '../castore/chunking/fast-cdc.ts'
import type { RecordStore, StoredRecord } from '../castore/record-store.ts'
import { putAssembled } from '../castore/stores/assembled-blob.ts'
import { OutboardBuilder } from '../castore/verified/outboard-builder.ts'
import type { Call } from '../foundation/call.ts'
import { Digest } from '../foundation/digest.ts'
import { encodeWhereabouts } from './whereabouts-codec.ts'

/** How many chunks are noted in one go. */
const BATCH_CHUNKS = 1024

/** How many bytes of content wait for that at the most. */
const BATCH_BYTES = 8 * 1024 * 1024

/** How much of a file is read at once. */
const READ_BYTES = 1024 * 1024

/** Cuts files into chunks as every blob is cut, and notes where the chunks lie instead of them. */
export class AdoptedBlobs {
  readonly #records: RecordStore
  #batch: StoredRecord[] = []
  #batchBytes = 0

  constructor(components: { records: RecordStore }) {
    this.#records = components.records
  }

  /**
   * Takes in a file where it lies; `onBytes` gets all of it in order. Undefined where it is not so
   * long as it was said to be.
   */
  async take(
    file: FileHandle,
    { path, size }: { readonly path: Buffer; readonly size: number },
    onBytes: (bytes: Uint8Array) => void,
    call: Call,
  ): Promise<Digest | undefined> {
    const builder = size > CHUNK_BYTES_MIN ? new OutboardBuilder() : undefined
    const chunker = new Chunker()
    const layout: ChunkRef[] = []
    let offset = 0
    const note = async (chunk: Uint8Array): Promise<void> => {
      const digest = Digest.ofContent(chunk)
      builder?.push(chunk)
      layout.push({ digest, size: chunk.length })
      await this.#note(digest, chunk, encodeWhereabouts({ path, offset }), call)
      offset += chunk.length
    }
    let read = 0
    for (;;) {
      // One byte more than there should be shows that nothing follows.
      const bytes = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, size - read + 1))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, read)
      if (bytesRead === 0) break
      read += bytesRead
      if (read > size) return undefined
      const piece = bytes.subarray(0, bytesRead)
      onBytes(piece)
      for (const chunk of chunker.push(piece)) await note(chunk)
    }
    const last = chunker.finish()
    if (last !== undefined) await note(last)
    if (read !== size) return undefined
    if (layout.length < 2) return layout[0]?.digest ?? EMPTY_BLOB
    await this.flush(call)
    const built = builder!.finish()
    await putAssembled(this.#records, layout, built, call)
    return built.digest
  }

  /** Takes in a file that fits in the smallest chunk, and has been read. */
  async takeSmall(path: Buffer, content: Uint8Array, call: Call): Promise<Digest> {
    if (content.length === 0) return EMPTY_BLOB
    const digest = Digest.ofContent(content)
    await this.#note(digest, content, encodeWhereabouts({ path, offset: 0 }), call)
    return digest
  }

  async #note(
    digest: Digest,
    bytes: Uint8Array,
    whereabouts: Uint8Array,
    call: Call,
  ): Promise<void> {
    const stored = { packing: 'elsewhere', bytes: whereabouts } as const
    this.#batch.push({ key: digest.bytes, bytes, stored })
    this.#batchBytes += bytes.length
    if (this.#batch.length >= BATCH_CHUNKS || this.#batchBytes >= BATCH_BYTES) {
      await this.flush(call)
    }
  }

  /** Stores the notes that are left. */
  async flush(call: Call): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (batch.length > 0) await this.#records.put('chunk', batch, call)
  }
}
