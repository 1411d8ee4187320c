import type { BlobSource, ChunkRef } from '../castore/blob-store.ts'
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

/** Where contents are read from. */
export type ContentSource = Pick<BlobSource, 'layouts' | 'readChunks' | 'open'>

/** Bytes `from` to `to` of a chunk. */
interface ChunkRange {
  readonly blob: Digest
  readonly chunk: ChunkRef
  readonly from: number
  readonly to: number
}

type ReadPart = Uint8Array | ChunkRange

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

/** Finds the chunks of a window's files. */
async function locate(
  window: readonly NarPart[],
  blobs: ContentSource,
  call: Call,
): Promise<ReadPart[]> {
  // What fits in the smallest chunk is one, named as its blob, so that there is nothing to look up.
  const large = window.filter((part) => isRange(part) && part.file.size > CHUNK_BYTES_MIN)
  const digests = large.map((part) => (part as FileRange).file.digest)
  const layouts = digests.length === 0 ? [] : await blobs.layouts(digests, call)
  let next = 0
  return window.flatMap((part): ReadPart | ReadPart[] => {
    if (!isRange(part)) return part
    const { digest, size } = part.file
    if (size > CHUNK_BYTES_MIN) return chunksOf(part, layouts[next++])
    return { blob: digest, chunk: { digest, size }, from: part.from, to: part.to }
  })
}

function chunksOf(range: FileRange, layout: readonly ChunkRef[] | undefined): ChunkRange[] {
  const { digest: blob, size } = range.file
  if (layout === undefined) throw missingBlob(blob)
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
  const pieces: Uint8Array[] = []
  let next = 0
  for (const part of parts) {
    if (!isChunk(part)) {
      pieces.push(part)
      continue
    }
    const bytes = chunks[next++] ?? (await readSmall(part, blobs, call))
    if (bytes.length !== part.chunk.size) throw wrongSize(part.blob, part.chunk.size)
    pieces.push(bytes.subarray(part.from, part.to))
  }
  return pieces
}

/** Reads a small blob that is not held as one chunk; perhaps somebody cut it otherwise. */
async function readSmall(part: ChunkRange, blobs: ContentSource, call: Call): Promise<Uint8Array> {
  if (part.blob !== part.chunk.digest) throw missingBlob(part.blob)
  const reader = await blobs.open(part.blob, call)
  if (reader === undefined) throw missingBlob(part.blob)
  if (reader.size !== part.chunk.size) throw wrongSize(part.blob, part.chunk.size)
  const pieces: Uint8Array[] = []
  for await (const bytes of reader.read(0, call)) pieces.push(bytes)
  return concatBytes(pieces)
}

function isRange(part: NarPart): part is FileRange {
  return 'file' in part
}

function isChunk(part: ReadPart): part is ChunkRange {
  return 'chunk' in part
}
