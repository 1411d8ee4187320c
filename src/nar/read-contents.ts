import type { BlobReader, BlobSource, ChunkRef } from '../castore/blob-store.ts'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import { concatBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import { missingBlob, wrongSize } from './nar-error.ts'
import type { FileRange, NarPart } from './nar-plan.ts'

/** How many windows of a plan have their chunks looked up beyond the one being read. */
const LOOKUPS_AHEAD = 1

/** With this many bytes of chunks, one read is full. */
const READ_BYTES = 1024 * 1024

/** How many chunks one read has at the most. */
const READ_CHUNKS_MAX = 256

/** How many parts one read has at the most, tokens included. */
const READ_PARTS_MAX = 2048

/** How many reads are under way beyond the one that the consumer has. */
const READS_AHEAD = 3

/**
 * Where contents are read from. What is held is looked up and read in bulk; what is not may all the
 * same be opened, and read as far as it is wanted.
 */
export type ContentSource = Pick<BlobSource, 'layouts' | 'readChunks' | 'open'>

/** Bytes `from` to `to` of a chunk. */
interface ChunkRange {
  readonly blob: Digest
  readonly chunk: ChunkRef
  readonly from: number
  readonly to: number
}

/** Bytes `from` to `to` of a blob that is not held. */
interface BlobSlice {
  readonly blob: Digest
  readonly reader: BlobReader
  readonly from: number
  readonly to: number
}

type ReadPart = Uint8Array | ChunkRange | BlobSlice

/** Stands where bytes will be. */
const NONE = new Uint8Array(0)

/**
 * Puts the contents into planned parts of a NAR, in order and read ahead: the chunks of many small
 * files come in one read, those of a large file in several.
 * @throws NarError where a blob is missing or of another size than its node says
 */
export async function* readContents(
  windows: AsyncIterable<readonly NarPart[]>,
  blobs: ContentSource,
  call: Call,
): AsyncGenerator<readonly Uint8Array[]> {
  const located = readAhead(windows, LOOKUPS_AHEAD, (window) => locate(window, blobs, call))
  yield* readAhead(readsOf(located), READS_AHEAD, (parts) => read(parts, blobs, call))
}

/** Finds the chunks of a window's files, and opens those that are not held. */
async function locate(
  window: readonly NarPart[],
  blobs: ContentSource,
  call: Call,
): Promise<ReadPart[]> {
  // What fits in the smallest chunk is one, named as its blob, so that there is nothing to look up.
  const large = window.filter((part) => isRange(part) && part.file.size > CHUNK_BYTES_MIN)
  const digests = large.map((part) => (part as FileRange).file.digest)
  const layouts = digests.length === 0 ? [] : await blobs.layouts(digests, call)
  const opened = await Promise.all(
    large.map(async (part, i) => {
      const { digest, size } = (part as FileRange).file
      return layouts[i] === undefined ? await blobs.open(digest, call, size) : undefined
    }),
  )
  let next = 0
  return window.flatMap((part): ReadPart | ReadPart[] => {
    if (!isRange(part)) return part
    const { digest, size } = part.file
    if (size > CHUNK_BYTES_MIN) {
      const layout = layouts[next]
      const reader = opened[next++]
      return layout === undefined ? slicesOf(part, reader) : chunksOf(part, layout)
    }
    return { blob: digest, chunk: { digest, size }, from: part.from, to: part.to }
  })
}

function slicesOf({ file, from, to }: FileRange, reader: BlobReader | undefined): BlobSlice[] {
  const { digest: blob, size } = file
  if (reader === undefined) throw missingBlob(blob)
  if (reader.size !== size) throw wrongSize(blob, size)
  const slices: BlobSlice[] = []
  for (let at = from; at < to; at += READ_BYTES) {
    slices.push({ blob, reader, from: at, to: Math.min(at + READ_BYTES, to) })
  }
  return slices
}

function chunksOf(range: FileRange, layout: readonly ChunkRef[]): ChunkRange[] {
  const { digest: blob, size } = range.file
  const chunks: ChunkRange[] = []
  let at = 0
  for (const chunk of layout) {
    const from = Math.max(range.from - at, 0)
    const to = Math.min(range.to - at, chunk.size)
    if (from < to) chunks.push({ blob, chunk, from, to })
    at += chunk.size
  }
  if (at !== size) throw wrongSize(blob, size)
  return chunks
}

/** Divides located parts into reads of a good size. */
async function* readsOf(windows: AsyncIterable<readonly ReadPart[]>): AsyncGenerator<ReadPart[]> {
  let parts: ReadPart[] = []
  let bytes = 0
  let chunks = 0
  for await (const window of windows) {
    for (const part of window) {
      parts.push(part)
      if (isChunk(part)) {
        bytes += part.chunk.size
        chunks++
      } else if (isSlice(part)) {
        bytes += part.to - part.from
      }
      if (bytes >= READ_BYTES || chunks >= READ_CHUNKS_MAX || parts.length >= READ_PARTS_MAX) {
        yield parts
        parts = []
        bytes = 0
        chunks = 0
      }
    }
  }
  if (parts.length > 0) yield parts
}

async function read(
  parts: readonly ReadPart[],
  blobs: ContentSource,
  call: Call,
): Promise<Uint8Array[]> {
  call.signal.throwIfAborted()
  const digests = parts.filter(isChunk).map((part) => part.chunk.digest)
  const chunks = digests.length === 0 ? [] : await blobs.readChunks(digests, call)
  const away: { readonly at: number; readonly part: ChunkRange | BlobSlice }[] = []
  let next = 0
  const pieces = parts.map((part, at): Uint8Array => {
    if (isChunk(part)) {
      const bytes = chunks[next++]
      if (bytes !== undefined) return rangeOf(part, bytes)
    } else if (!isSlice(part)) return part
    away.push({ at, part })
    return NONE
  })
  const fill = async ({ at, part }: (typeof away)[number]): Promise<void> => {
    pieces[at] = await readOpened(part, blobs, call)
  }
  await Promise.all(away.map(fill))
  return pieces
}

function rangeOf({ blob, chunk, from, to }: ChunkRange, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== chunk.size) throw wrongSize(blob, chunk.size)
  return bytes.subarray(from, to)
}

/** Reads what is not held as a chunk: a part of a blob elsewhere, or a small one cut otherwise. */
async function readOpened(
  part: ChunkRange | BlobSlice,
  blobs: ContentSource,
  call: Call,
): Promise<Uint8Array> {
  const { blob, from, to } = part
  const reader = isSlice(part) ? part.reader : await openSmall(part, blobs, call)
  const pieces: Uint8Array[] = []
  for await (const bytes of reader.read(from, call, to - from)) pieces.push(bytes)
  const read = concatBytes(pieces)
  if (read.length !== to - from) throw wrongSize(blob, reader.size)
  return read
}

async function openSmall(
  { blob, chunk }: ChunkRange,
  blobs: ContentSource,
  call: Call,
): Promise<BlobReader> {
  if (blob !== chunk.digest) throw missingBlob(blob)
  const reader = await blobs.open(blob, call, chunk.size)
  if (reader === undefined) throw missingBlob(blob)
  if (reader.size !== chunk.size) throw wrongSize(blob, chunk.size)
  return reader
}

function isRange(part: NarPart): part is FileRange {
  return 'file' in part
}

function isChunk(part: ReadPart): part is ChunkRange {
  return 'chunk' in part
}

function isSlice(part: ReadPart): part is BlobSlice {
  return 'reader' in part
}
