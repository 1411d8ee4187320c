import type { Call } from '../../foundation/call.ts'
import { Digest } from '../../foundation/digest.ts'
import { type BlobWriter, type ChunkRef, EMPTY_BLOB } from '../blob-store.ts'
import type { ChunkBuffers } from '../chunking/chunk-buffers.ts'
import { Chunker } from '../chunking/fast-cdc.ts'
import type { RecordStore } from '../record-store.ts'
import { OutboardBuilder } from '../verified/outboard-builder.ts'
import { putAssembled } from './assembled-blob.ts'
import type { ChunkPacker } from './chunk-packer.ts'
import { type ChunkToPut, putChunkRecords } from './put-chunks.ts'

/** How many bytes of chunks may be on their way to the store while the next ones are cut. */
export const WRITING_BYTES_MAX = 4 * 1024 * 1024

/**
 * Cuts one blob into chunks and stores them as they come. The whole is hashed beside, and what
 * proves ranges of it comes of the same pass; what is one chunk is named as that.
 */
export class ChunkingBlobWriter implements BlobWriter {
  readonly #records: RecordStore
  readonly #packer: ChunkPacker
  readonly #buffers: ChunkBuffers
  readonly #chunker: Chunker
  /** Of all chunks so far, made when it is clear that there is more than one. */
  #builder: OutboardBuilder | undefined
  readonly #layout: ChunkRef[] = []
  readonly #writing: { readonly bytes: number; readonly stored: Promise<void> }[] = []
  #writingBytes = 0
  readonly #onStored: ((chunk: ChunkRef) => void) | undefined
  /** Chunks are told one batch after another, whichever is stored first. */
  #telling: Promise<void> = Promise.resolve()

  /** @param init.onStored is told of each chunk once it is stored, in their order */
  constructor(
    components: { records: RecordStore; packer: ChunkPacker; buffers: ChunkBuffers },
    init: { readonly onStored?: (chunk: ChunkRef) => void } = {},
  ) {
    this.#onStored = init.onStored
    this.#records = components.records
    this.#packer = components.packer
    this.#buffers = components.buffers
    this.#chunker = new Chunker({ allocate: () => this.#buffers.take() })
  }

  async write(bytes: Uint8Array, call: Call): Promise<void> {
    const chunks = this.#chunker.push(bytes)
    if (chunks.length === 0) return
    // Something mostly follows; where nothing does, this was in vain.
    for (const chunk of chunks) this.#hash(chunk)
    await this.#store(chunks, call)
  }

  async commit(call: Call): Promise<Digest> {
    const last = this.#chunker.finish()
    if (last !== undefined) {
      if (this.#layout.length > 0) this.#hash(last)
      await this.#store([last], call)
    }
    await this.#settle(0)
    await this.#telling
    if (this.#builder === undefined || this.#layout.length < 2) {
      return this.#layout[0]?.digest ?? EMPTY_BLOB
    }
    const built = this.#builder.finish()
    await putAssembled(this.#records, this.#layout, built, call)
    return built.digest
  }

  #hash(chunk: Uint8Array): void {
    this.#builder ??= new OutboardBuilder()
    this.#builder.push(chunk)
  }

  async #store(chunks: readonly Uint8Array[], call: Call): Promise<void> {
    const records = chunks.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
    let bytes = 0
    const from = this.#layout.length
    for (const record of records) {
      this.#layout.push({ digest: record.digest, size: record.bytes.length })
      bytes += record.bytes.length
    }
    const stored = this.#put(records, call)
    if (this.#onStored !== undefined) this.#tell(stored, this.#layout.slice(from), this.#onStored)
    stored.catch(() => undefined) // thrown where it is awaited
    this.#writing.push({ bytes, stored })
    this.#writingBytes += bytes
    await this.#settle(WRITING_BYTES_MAX)
  }

  #tell(
    stored: Promise<void>,
    chunks: readonly ChunkRef[],
    onStored: (chunk: ChunkRef) => void,
  ): void {
    this.#telling = this.#telling
      .then(() => stored)
      .then(() => {
        for (const chunk of chunks) onStored(chunk)
      })
    this.#telling.catch(() => undefined) // nothing more is told; thrown where it is awaited
  }

  async #put(chunks: readonly ChunkToPut[], call: Call): Promise<void> {
    await putChunkRecords({ records: this.#records, packer: this.#packer }, chunks, call)
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
