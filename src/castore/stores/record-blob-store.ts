import type { Call } from '../../foundation/call.ts'
import { Digest, DigestBuilder } from '../../foundation/digest.ts'
import { decodeBlobLayout, encodeBlobLayout } from '../blob-layout-codec.ts'
import type { BlobReader, BlobStore, BlobWriter, ChunkRef } from '../blob-store.ts'
import { CastoreError } from '../castore-error.ts'
import { ChunkBuffers } from '../chunking/chunk-buffers.ts'
import type { RecordStore } from '../record-store.ts'
import { ChunkedBlobReader } from './chunked-blob-reader.ts'
import { ChunkingBlobWriter } from './chunking-blob-writer.ts'

/** The digest of the empty blob, which every store holds. */
export const EMPTY_BLOB = Digest.ofContent(new Uint8Array(0))

/**
 * Blobs as chunks in a record store. A blob of one chunk is that chunk; one of several has a layout
 * record beside them, written when all of them are there.
 */
export class RecordBlobStore implements BlobStore {
  readonly #records: RecordStore
  readonly #buffers = new ChunkBuffers()

  constructor(components: { records: RecordStore }) {
    this.#records = components.records
  }

  async layouts(
    digests: readonly Digest[],
    call: Call,
  ): Promise<(readonly ChunkRef[] | undefined)[]> {
    const sizes = await this.#records.sizes('chunk', keysOf(digests), call)
    const found = digests.map((digest, i): readonly ChunkRef[] | undefined => {
      const size = sizes[i]
      if (digest.equals(EMPTY_BLOB)) return []
      return size === undefined ? undefined : [{ digest, size }]
    })
    const missing = digests.filter((_, i) => found[i] === undefined)
    if (missing.length === 0) return found
    const layouts = await this.#records.get('layout', keysOf(missing), call)
    let next = 0
    return found.map((layout) => {
      if (layout !== undefined) return layout
      const encoded = layouts[next++]
      return encoded === undefined ? undefined : decodeBlobLayout(encoded)
    })
  }

  async readChunks(digests: readonly Digest[], call: Call): Promise<(Uint8Array | undefined)[]> {
    return await this.#records.get('chunk', keysOf(digests), call)
  }

  async chunkSizes(digests: readonly Digest[], call: Call): Promise<(number | undefined)[]> {
    return await this.#records.sizes('chunk', keysOf(digests), call)
  }

  async open(digest: Digest, call: Call): Promise<BlobReader | undefined> {
    const [layout] = await this.layouts([digest], call)
    return layout === undefined ? undefined : new ChunkedBlobReader(this, layout)
  }

  create(): BlobWriter {
    return new ChunkingBlobWriter({ records: this.#records, buffers: this.#buffers })
  }

  async putSmall(contents: readonly Uint8Array[], call: Call): Promise<Digest[]> {
    const chunks = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
    await this.#put(
      chunks.filter(({ bytes }) => bytes.length > 0),
      call,
    )
    return chunks.map(({ digest }) => digest)
  }

  async putChunks(
    chunks: readonly { digest: Digest; bytes: Uint8Array }[],
    call: Call,
  ): Promise<void> {
    for (const { digest, bytes } of chunks) {
      if (!Digest.ofContent(bytes).equals(digest)) throw mismatch(digest, 'a chunk')
    }
    await this.#put(chunks, call)
  }

  async #put(chunks: readonly { digest: Digest; bytes: Uint8Array }[], call: Call): Promise<void> {
    const records = chunks.map(({ digest, bytes }) => ({ key: digest.bytes, bytes }))
    await this.#records.put('chunk', records, call)
  }

  async assemble(
    digest: Digest,
    layout: readonly ChunkRef[],
    call: Call,
    hashed?: Digest,
  ): Promise<void> {
    const held = await this.chunkSizes(
      layout.map((chunk) => chunk.digest),
      call,
    )
    const missing = layout.find((_, i) => held[i] === undefined)
    if (missing !== undefined) {
      const what = `a chunk of blob ${digest} is not held: ${missing.digest}`
      throw new CastoreError({ code: 'incomplete', digest: missing.digest.hex }, what)
    }
    const actual = hashed ?? (await this.#hash(layout, call))
    if (!actual.equals(digest)) throw mismatch(digest, 'a blob')
    if (layout.length < 2) return // the chunk itself, or the empty blob
    await this.#records.put(
      'layout',
      [{ key: digest.bytes, bytes: encodeBlobLayout(layout) }],
      call,
    )
  }

  async #hash(layout: readonly ChunkRef[], call: Call): Promise<Digest> {
    const builder = new DigestBuilder()
    for await (const bytes of new ChunkedBlobReader(this, layout).read(0, call))
      builder.update(bytes)
    return builder.finish()
  }
}

function keysOf(digests: readonly Digest[]): Uint8Array[] {
  return digests.map((digest) => digest.bytes)
}

function mismatch(digest: Digest, what: string): CastoreError {
  return new CastoreError(
    { code: 'digest-mismatch', digest: digest.hex },
    `${what} does not hash to its digest ${digest}`,
  )
}
