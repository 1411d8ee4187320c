import type { Call } from '../../foundation/call.ts'
import { Digest, DigestBuilder } from '../../foundation/digest.ts'
import { encodeBlobLayout } from '../blob-layout-codec.ts'
import type { BlobWriter, ChunkRef } from '../blob-store.ts'
import type { ChunkBuffers } from '../chunking/chunk-buffers.ts'
import { Chunker } from '../chunking/fast-cdc.ts'
import type { RecordStore } from '../record-store.ts'

/** How many bytes of chunks may be on their way to the store while the next ones are cut. */
export const WRITING_BYTES_MAX = 4 * 1024 * 1024

/** Cuts one blob into chunks, stores them as they come, and hashes the whole beside. */
export class ChunkingBlobWriter implements BlobWriter {
  readonly #records: RecordStore
  readonly #buffers: ChunkBuffers
  readonly #chunker: Chunker
  readonly #builder = new DigestBuilder()
  readonly #layout: ChunkRef[] = []
  readonly #writing: { readonly bytes: number; readonly stored: Promise<void> }[] = []
  #writingBytes = 0

  constructor(components: { records: RecordStore; buffers: ChunkBuffers }) {
    this.#records = components.records
    this.#buffers = components.buffers
    this.#chunker = new Chunker({ allocate: () => this.#buffers.take() })
  }

  async write(bytes: Uint8Array, call: Call): Promise<void> {
    this.#builder.update(bytes)
    const chunks = this.#chunker.push(bytes)
    if (chunks.length > 0) await this.#store(chunks, call)
  }

  async commit(call: Call): Promise<Digest> {
    const last = this.#chunker.finish()
    if (last !== undefined) await this.#store([last], call)
    await this.#settle(0)
    const digest = this.#builder.finish()
    if (this.#layout.length > 1) {
      const layout = { key: digest.bytes, bytes: encodeBlobLayout(this.#layout) }
      await this.#records.put('layout', [layout], call)
    }
    return digest
  }

  async #store(chunks: readonly Uint8Array[], call: Call): Promise<void> {
    const records = chunks.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
    let bytes = 0
    for (const record of records) {
      this.#layout.push({ digest: record.digest, size: record.bytes.length })
      bytes += record.bytes.length
    }
    const stored = this.#put(records, call)
    stored.catch(() => undefined) // thrown where it is awaited
    this.#writing.push({ bytes, stored })
    this.#writingBytes += bytes
    await this.#settle(WRITING_BYTES_MAX)
  }

  async #put(
    chunks: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[],
    call: Call,
  ): Promise<void> {
    const records = chunks.map(({ digest, bytes }) => ({ key: digest.bytes, bytes }))
    await this.#records.put('chunk', records, call)
    for (const { bytes } of chunks) this.#buffers.giveBack(bytes)
  }

  /** Waits until at most so many bytes are on their way. */
  async #settle(bytesMax: number): Promise<void> {
    while (this.#writingBytes > bytesMax || (bytesMax === 0 && this.#writing.length > 0)) {
      const oldest = this.#writing[0]!
      await oldest.stored
      this.#writing.shift()
      this.#writingBytes -= oldest.bytes
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#writing.map((it) => it.stored))
  }
}
