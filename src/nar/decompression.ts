import { type Duplex, pipeline } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib'
import { createUnxz } from 'node-liblzma'
import { bzip2Blocks } from './bzip2-blocks.ts'
import type { Compression } from './compression.ts'
import { NarError, tooLarge, unreadable } from './nar-error.ts'
import { XzTail } from './xz-tail.ts'
import { type ZstdEvent, ZstdFrames } from './zstd-frames.ts'

/** Memory that an xz stream may make its decoder use, in bytes; `xz -9` needs 65 MiB. */
export const XZ_MEMORY_BYTES_MAX = 128 * 1024 * 1024

/** How many times its own length a stream may become, beyond what it is allowed anyway. */
export const EXPANSION_RATIO_MAX = 1_000

/**
 * How many bytes a stream may become whatever its length, by default: disk images of zeros shrink
 * ten thousandfold, and have some GiB.
 */
export const EXPANSION_ALLOWANCE_BYTES_MAX = 64 * 1024 * 1024 * 1024

/**
 * How much of an xz stream is decoded in one go, in bytes: its decoder waits for nobody within
 * that, and makes up to seven thousand times as much of it.
 */
const XZ_SLICE_BYTES = 8 * 1024

/** How much a decoder gives at once, in bytes: each time it waits for the thread that reads. */
const OUTPUT_PIECE_BYTES = 256 * 1024

/** How much a decoder makes before anybody asks for it, in bytes: it works beside its reader. */
const OUTPUT_AHEAD_BYTES = 512 * 1024

/** What decoders are told of their output. */
const OUTPUT = { chunkSize: OUTPUT_PIECE_BYTES, readableHighWaterMark: OUTPUT_AHEAD_BYTES }

/** LZMA_MEM_ERROR and LZMA_MEMLIMIT_ERROR of liblzma. */
const LZMA_MEMORY_CODES = [5, 6]

/** What a stream may grow to. */
export interface DecompressionInit {
  /** Length of the longest content that is taken, in bytes; unlimited by default. */
  readonly outputBytesMax?: number
  /**
   * How many bytes of content are not held against {@link EXPANSION_RATIO_MAX};
   * {@link EXPANSION_ALLOWANCE_BYTES_MAX} by default.
   */
  readonly allowanceBytes?: number
}

/** How a source is getting on, for whoever reads from what becomes of it. */
interface Intake {
  bytes: number
  failed: boolean
}

/**
 * The content of a compressed stream, as it comes; the source is read no faster than that. What
 * follows the end is an error, and so is an end that comes too early. Streams of several frames,
 * members or streams are read to the last of them.
 * @throws NarError 'compression-corrupt', 'compression-truncated', 'compression-memory' or
 *   'too-large'; what the source throws
 */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  init: DecompressionInit = {},
): AsyncGenerator<Uint8Array> {
  const outputBytesMax = init.outputBytesMax ?? Number.POSITIVE_INFINITY
  const allowanceBytes = init.allowanceBytes ?? EXPANSION_ALLOWANCE_BYTES_MAX
  const intake: Intake = { bytes: 0, failed: false }
  let bytes = 0
  try {
    for await (const piece of contentOf(counted(source, intake), compression, intake)) {
      bytes += piece.length
      if (bytes > outputBytesMax) throw tooLarge(outputBytesMax)
      if (bytes > allowanceBytes && bytes > intake.bytes * EXPANSION_RATIO_MAX) {
        const what = `its content is more than ${EXPANSION_RATIO_MAX} times as long as itself`
        throw new NarError({ code: 'too-large', offset: bytes }, what)
      }
      yield piece
    }
  } catch (error) {
    throw intake.failed || error instanceof NarError ? error : translated(error, compression)
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  intake: Intake,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of source) {
      intake.bytes += piece.length
      yield piece
    }
  } catch (error) {
    intake.failed = true
    throw error
  }
}

function contentOf(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  intake: Intake,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return source
    case 'xz':
      return unxz(source)
    case 'zstd':
      return unzstd(source)
    case 'bzip2':
      return bzip2Blocks(source)
    case 'gzip':
      return wholly(source, createGunzip(OUTPUT), compression, intake)
    case 'br': {
      // Windows beyond 16 MiB are an extension, which is off unless it is asked for.
      const decoder = createBrotliDecompress(OUTPUT)
      return wholly(source, decoder, compression, intake)
    }
  }
}

/** Passes a stream through a decoder. An error of either end is told to whoever reads. */
async function* through(
  source: AsyncIterable<Uint8Array>,
  decoder: Duplex,
): AsyncGenerator<Uint8Array> {
  pipeline(source, decoder, () => undefined)
  yield* decoder
}

/** As {@link through}, with a decoder that would pass over what follows the end. */
async function* wholly(
  source: AsyncIterable<Uint8Array>,
  decoder: Duplex & { readonly bytesWritten: number },
  compression: Compression,
  intake: Intake,
): AsyncGenerator<Uint8Array> {
  yield* through(source, decoder)
  if (intake.bytes === 0) {
    throw unreadable('compression-truncated', compression, 'it is empty')
  }
  if (decoder.bytesWritten !== intake.bytes) {
    decoder.destroy()
    throw unreadable('compression-corrupt', compression, 'something follows its end')
  }
}

async function* unxz(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const tail = new XzTail()
  const slices = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of source) {
      tail.push(piece)
      for (let at = 0; at < piece.length; at += XZ_SLICE_BYTES) {
        yield piece.subarray(at, at + XZ_SLICE_BYTES)
      }
    }
  }
  const init = { memlimit: XZ_MEMORY_BYTES_MAX, chunkSize: OUTPUT_PIECE_BYTES }
  const ahead = { readableHighWaterMark: OUTPUT_AHEAD_BYTES }
  // Its typings narrow the events of a Transform, which it is.
  yield* through(slices(), createUnxz(init, ahead) as unknown as Duplex)
  if (!tail.isWhole) {
    throw unreadable('compression-truncated', 'xz', 'it does not end with the footer of a stream')
  }
}

/** How many bytes the frames of a zstd stream hold on average, at the least. */
export const ZSTD_FRAME_BYTES_MIN = 16 * 1024

/** How many frames a zstd stream may have that hold less. */
export const ZSTD_FRAMES_SPARE = 256

/** Gives each frame to a decoder of its own. */
async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames()
  const events = eventsOf(source, frames)
  const frame = async function* (): AsyncGenerator<Uint8Array> {
    for (let next = await events.next(); next.done !== true; next = await events.next()) {
      if (next.value.type === 'end') return
      if (next.value.type === 'bytes') yield next.value.bytes
    }
  }
  // A decoder takes much longer to make than an empty frame to send.
  let [count, bytes] = [0, 0]
  try {
    while ((await events.next()).done !== true) {
      if (++count > ZSTD_FRAMES_SPARE + bytes / ZSTD_FRAME_BYTES_MIN) {
        throw unreadable('compression-corrupt', 'zstd', `it has ${count} frames of next to nothing`)
      }
      const params = { [constants.ZSTD_d_windowLogMax]: 27 } // checked in the header already
      const decoder = createZstdDecompress({ params, ...OUTPUT })
      for await (const piece of through(frame(), decoder)) {
        bytes += piece.length
        yield piece
      }
    }
  } finally {
    await events.return(undefined)
  }
}

async function* eventsOf(
  source: AsyncIterable<Uint8Array>,
  frames: ZstdFrames,
): AsyncGenerator<ZstdEvent, undefined> {
  for await (const piece of source) yield* frames.push(piece)
  frames.end()
}

/** What a decoder says, as a fault of the house. liblzma gives its errors numbers as codes. */
function translated(error: unknown, compression: Compression): unknown {
  if (!(error instanceof Error)) return error
  const { code } = error as { readonly code?: string | number }
  const isMemory =
    typeof code === 'number'
      ? LZMA_MEMORY_CODES.includes(code)
      : /^Z_MEM_ERROR$|memory|window/i.test(code ?? '')
  if (isMemory) return unreadable('compression-memory', compression, error.message, error)
  if (code === 'Z_BUF_ERROR') {
    return unreadable('compression-truncated', compression, 'it ends too early', error)
  }
  return unreadable('compression-corrupt', compression, error.message, error)
}
