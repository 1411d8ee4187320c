import type { Call } from '../../foundation/call.ts'
import { Digest } from '../../foundation/digest.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { SingleFlight } from '../../foundation/single-flight.ts'
import { decodeBlobLayout } from '../blob-layout-codec.ts'
import {
  type BlobReader,
  type BlobStore,
  type BlobWriter,
  type ChunkRef,
  EMPTY_BLOB,
  type GivenChunk,
  OUTBOARD_BYTES_MAX,
  type PackedChunk,
} from '../blob-store.ts'
import { CastoreError } from '../castore-error.ts'
import { ChunkBuffers } from '../chunking/chunk-buffers.ts'
import type { RecordStore } from '../record-store.ts'
import { Outboard } from '../verified/outboard.ts'
import { type BuiltOutboard, OutboardBuilder } from '../verified/outboard-builder.ts'
import { TreeShape } from '../verified/tree-shape.ts'
import { putAssembled, putOutboard } from './assembled-blob.ts'
import { ChunkPacker } from './chunk-packer.ts'
import { ChunkedBlobReader } from './chunked-blob-reader.ts'
import { ChunkingBlobWriter } from './chunking-blob-writer.ts'
import { LayoutMemory } from './layout-memory.ts'
import { type ChunkToPut, putChunkRecords } from './put-chunks.ts'

/** How many blobs are read at once to make the outboards that they were stored without. */
const BUILDING_MAX = 1

/**
 * Blobs as chunks in a record store. A blob of one chunk is that chunk; one of several has a layout
 * record beside them, written when all of them are there, and a record of its outboard. Blobs that
 * were stored before there were outboards get theirs when somebody first asks for it.
 */
export class RecordBlobStore implements BlobStore {
  readonly #records: RecordStore
  readonly #packer: ChunkPacker
  readonly #buffers = new ChunkBuffers()
  readonly #remembered = new LayoutMemory()
  readonly #building = new SingleFlight<BuiltOutboard>()
  readonly #buildingRoom = new Semaphore(BUILDING_MAX)

  constructor(components: { records: RecordStore; packer?: ChunkPacker }) {
    this.#records = components.records
    this.#packer = components.packer ?? new ChunkPacker()
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
    const layouts = await this.#lists(missing, call)
    let next = 0
    return found.map((layout) => layout ?? layouts[next++])
  }

  /** Chunk lists of blobs of several chunks; whether those that are remembered are still held. */
  async #lists(
    digests: readonly Digest[],
    call: Call,
  ): Promise<(readonly ChunkRef[] | undefined)[]> {
    const known = digests.map((digest) => this.#remembered.get(digest))
    const isAnyKnown = known.some((it) => it !== undefined)
    const sizes = isAnyKnown ? await this.#records.sizes('layout', keysOf(digests), call) : []
    const isHeld = known.map((it, i) => it !== undefined && it.recordBytes === sizes[i])
    const away = digests.filter((_, i) => !isHeld[i])
    const records = away.length === 0 ? [] : await this.#records.get('layout', keysOf(away), call)
    let next = 0
    return digests.map((digest, i) => {
      if (isHeld[i]) return known[i]!.layout
      const encoded = records[next++]
      if (encoded === undefined) return undefined
      const layout = decodeBlobLayout(encoded)
      this.#remembered.put(digest, { layout, recordBytes: encoded.length })
      return layout
    })
  }

  async readChunks(digests: readonly Digest[], call: Call): Promise<(Uint8Array | undefined)[]> {
    return await this.#records.get('chunk', keysOf(digests), call)
  }

  async readPacked(digests: readonly Digest[], call: Call): Promise<(PackedChunk | undefined)[]> {
    const keys = keysOf(digests)
    const packed = await this.#records.getPacked('chunk', keys, call)
    const elsewhere = digests.filter((_, i) => packed[i] === undefined)
    const unpacked = await this.readChunks(elsewhere, call)
    let next = 0
    return packed.map((record) => {
      if (record !== undefined) return { ...record, packing: record.packing as 'raw' | 'zstd' }
      const bytes = unpacked[next++]
      return bytes && { packing: 'raw', bytes, size: bytes.length }
    })
  }

  async chunkSizes(digests: readonly Digest[], call: Call): Promise<(number | undefined)[]> {
    return await this.#records.sizes('chunk', keysOf(digests), call)
  }

  async outboard(digest: Digest, call: Call): Promise<Outboard | undefined> {
    const [layout] = await this.layouts([digest], call)
    if (layout === undefined) return undefined
    const size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
    const { groups, outboardBytes } = new TreeShape(size)
    if (outboardBytes > OUTBOARD_BYTES_MAX) return undefined
    if (groups === 1) return new Outboard(digest, size, new Uint8Array(0))
    const [kept] = await this.#records.get('outboard', [digest.bytes], call)
    if (kept?.length === outboardBytes) return new Outboard(digest, size, kept)
    const build = (shared: Call): Promise<BuiltOutboard> => this.#build(digest, layout, shared)
    const { outboard } =
      layout.length === 1
        ? await this.#hash(layout, call)
        : await this.#building.run(digest.hex, build, call)
    return new Outboard(digest, size, outboard)
  }

  async open(digest: Digest, call: Call): Promise<BlobReader | undefined> {
    const [layout] = await this.layouts([digest], call)
    return layout === undefined ? undefined : new ChunkedBlobReader(this, layout)
  }

  create(onStored?: (chunk: ChunkRef) => void): BlobWriter {
    const components = { records: this.#records, packer: this.#packer, buffers: this.#buffers }
    return new ChunkingBlobWriter(components, onStored === undefined ? {} : { onStored })
  }

  async putSmall(contents: readonly Uint8Array[], call: Call): Promise<Digest[]> {
    const chunks = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
    await this.#put(
      chunks.filter(({ bytes }) => bytes.length > 0),
      call,
    )
    return chunks.map(({ digest }) => digest)
  }

  async putChunks(chunks: readonly GivenChunk[], call: Call): Promise<void> {
    for (const { digest, bytes } of chunks) {
      if (!Digest.ofContent(bytes).equals(digest)) throw mismatch(digest, 'a chunk')
    }
    await this.#put(chunks, call)
  }

  async #put(chunks: readonly ChunkToPut[], call: Call): Promise<void> {
    await putChunkRecords({ records: this.#records, packer: this.#packer }, chunks, call)
  }

  async assemble(
    digest: Digest,
    layout: readonly ChunkRef[],
    call: Call,
    hashed?: BuiltOutboard,
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
    const built = hashed ?? (await this.#hash(layout, call))
    const actual = built.digest
    if (!actual.equals(digest)) throw mismatch(digest, 'a blob')
    if (layout.length < 2) return // the chunk itself, or the empty blob
    await putAssembled(this.#records, layout, built, call)
  }

  /** Makes the outboard of a blob that was stored without, and keeps it. */
  async #build(digest: Digest, layout: readonly ChunkRef[], call: Call): Promise<BuiltOutboard> {
    using _room = await this.#buildingRoom.acquire(1, call)
    const built = await this.#hash(layout, call)
    if (!built.digest.equals(digest)) throw mismatch(digest, 'what is stored of a blob')
    await putOutboard(this.#records, built, call)
    return built
  }

  async #hash(layout: readonly ChunkRef[], call: Call): Promise<BuiltOutboard> {
    const builder = new OutboardBuilder()
    for await (const bytes of new ChunkedBlobReader(this, layout).read(0, call)) builder.push(bytes)
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
