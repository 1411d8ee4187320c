import type { Call } from '../foundation/call.ts'
import { Digest } from '../foundation/digest.ts'
import type { PackedBytes } from './record-store.ts'
import type { Outboard } from './verified/outboard.ts'
import type { BuiltOutboard } from './verified/outboard-builder.ts'

/** Length of the longest outboard that is kept and told, in bytes: that of a blob of 4 GiB. */
export const OUTBOARD_BYTES_MAX = 16 * 1024 * 1024

/** A piece of a blob: the digest of its bytes, and their number. */
export interface ChunkRef {
  readonly digest: Digest
  readonly size: number
}

/** A blob, and its length in bytes if that is known for certain. */
export interface NamedBlob {
  readonly digest: Digest
  readonly size?: number | undefined
}

/** A chunk that somebody gives, and what it is said to be. */
export interface GivenChunk {
  readonly digest: Digest
  readonly bytes: Uint8Array
  /** The zstd frame that the bytes were unpacked from, to be stored as it is. */
  readonly stored?: PackedBytes | undefined
}

/** A chunk as it is stored: its bytes, or a zstd frame of them. */
export interface PackedChunk {
  readonly packing: 'raw' | 'zstd'
  readonly bytes: Uint8Array
  /** Length of the chunk in bytes. */
  readonly size: number
}

/** The length of a blob that is cut like this, in bytes. */
export function blobBytes(layout: readonly ChunkRef[]): number {
  return layout.reduce((sum, chunk) => sum + chunk.size, 0)
}

/** Reads chunks as they are stored, or raw where that is all that the source can do. */
export async function readPacked(
  blobs: BlobSource,
  digests: readonly Digest[],
  call: Call,
): Promise<(PackedChunk | undefined)[]> {
  if (blobs.readPacked !== undefined) return await blobs.readPacked(digests, call)
  const chunks = await blobs.readChunks(digests, call)
  return chunks.map((bytes) => bytes && { packing: 'raw', bytes, size: bytes.length })
}

/** The digest of the empty blob, which every store holds. */
export const EMPTY_BLOB = Digest.ofContent(new Uint8Array(0))

/** An open blob. Reading checks every chunk against its digest. */
export interface BlobReader {
  /** Length of the blob in bytes. */
  readonly size: number
  /**
   * The bytes from `offset` on, in pieces of at most one chunk, read ahead of the consumer: as many
   * as `length` says, or up to the end. A range may reach beyond the end, which ends it.
   * @throws CastoreError where a chunk is missing or rotten
   */
  read(offset: number, call: Call, length?: number): AsyncIterable<Uint8Array>
}

/** Where blobs and their chunks can be read. */
export interface BlobSource {
  /**
   * How each blob is cut: its chunks in order (none for the empty blob), or undefined where the
   * blob is not held. A list is a hint, never a proof. Its chunks are held when the blob is.
   */
  layouts(digests: readonly Digest[], call: Call): Promise<(readonly ChunkRef[] | undefined)[]>

  /** Reads whole chunks, each checked against its digest; undefined for what is not held. */
  readChunks(digests: readonly Digest[], call: Call): Promise<(Uint8Array | undefined)[]>

  /**
   * Reads whole chunks as they are stored, for those who prove them: nothing says that they hash to
   * their digests. Undefined for what is not held. Only where a store packs chunks.
   */
  readPacked?(digests: readonly Digest[], call: Call): Promise<(PackedChunk | undefined)[]>

  /** The length of each of these chunks in bytes, undefined for what is not held. */
  chunkSizes(digests: readonly Digest[], call: Call): Promise<(number | undefined)[]>

  /**
   * What proves ranges of a blob against its digest alone. Undefined where the blob is not held, or
   * nothing proves less than the whole of it: blobs whose outboard is longer than
   * {@link OUTBOARD_BYTES_MAX} have none, and not every remote store knows of them. It is as
   * trustworthy as whoever gave it: proving by it is what checks it.
   */
  outboard(digest: Digest, call: Call): Promise<Outboard | undefined>

  /**
   * Opens a blob, or undefined where it is not held. `size` is its length in bytes where that is
   * known for certain, as of a file in a Directory: who has the blob elsewhere need not prove it.
   */
  open(digest: Digest, call: Call, size?: number): Promise<BlobReader | undefined>
}

/** Takes one blob in, piece by piece. Disposing of it before `commit` abandons the blob. */
export interface BlobWriter extends AsyncDisposable {
  write(bytes: Uint8Array, call: Call): Promise<void>
  /** Ends the blob and says its digest. From now on it can be read. */
  commit(call: Call): Promise<Digest>
}

/**
 * Where blobs are kept. What is committed can be read at once; it survives a crash once `sync` of
 * its {@link Castore} has resolved.
 */
export interface BlobStore extends BlobSource {
  /**
   * Begins a blob. `onStored` is told of each of its chunks once that is stored, in their order and
   * before `commit` resolves, where the store knows of chunks at all.
   */
  create(onStored?: (chunk: ChunkRef) => void): BlobWriter

  /**
   * Takes in blobs that fit in memory, each of at most the smallest chunk size, many at a time;
   * says their digests in the same order.
   */
  putSmall(contents: readonly Uint8Array[], call: Call): Promise<Digest[]>

  /** Takes in chunks. @throws CastoreError where content does not match the digest it comes with */
  putChunks(chunks: readonly GivenChunk[], call: Call): Promise<void>

  /**
   * Declares a blob of chunks that are held already. The layout may come from a stranger: the
   * chunks are read and hashed first, unless `hashed` says what the caller has just found them to
   * be.
   * @throws CastoreError where a chunk is missing or the whole does not match the digest
   */
  assemble(
    digest: Digest,
    layout: readonly ChunkRef[],
    call: Call,
    hashed?: BuiltOutboard,
  ): Promise<void>
}
