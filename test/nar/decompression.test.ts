import { Readable } from 'node:stream'
import { brotliCompressSync, constants, crc32, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { compressed, isEncoding } from '../../src/nar/compressed.ts'
import {
  COMPRESSIONS,
  type Compression,
  compressionOf,
  compressionOfCoding,
  compressionShownBy,
} from '../../src/nar/compression.ts'
import {
  type DecompressionInit,
  decompressed,
  ZSTD_FRAMES_SPARE,
} from '../../src/nar/decompression.ts'
import { NarError } from '../../src/nar/nar-error.ts'
import { until } from '../fixtures/await-peers.ts'
import { allBytes, noise } from '../fixtures/content.ts'
import { BZIP2_MISSING, packed, unpacked } from './packed.ts'
import { inPieces, narOf, SMALL } from './trees.ts'

const TRIED = COMPRESSIONS.filter((it) => it !== 'bzip2' || BZIP2_MISSING === undefined)
const PACKED = TRIED.filter((it) => it !== 'none')
const content = Buffer.concat([noise(300_000, 'packed'), Buffer.alloc(300_000)])

function streamed(bytes: Uint8Array, piece = 10_007): Readable {
  return Readable.from(inPieces(bytes, [piece]), { objectMode: false })
}

/** What comes of a stream: its length where it is read to its end, else the fault. */
async function outcome(
  bytes: Uint8Array,
  compression: Compression,
  init: DecompressionInit & { readonly piece?: number } = {},
): Promise<number | string> {
  let read = 0
  try {
    for await (const piece of decompressed(streamed(bytes, init.piece), compression, init)) {
      read += piece.length
    }
    return read
  } catch (error) {
    return error instanceof NarError ? error.fault.code : `no fault of ours: ${error}`
  }
}

describe.each(TRIED)('%s', (compression) => {
  test.each([1, 100, 65_536])('comes out as it went in, in pieces of %i', async (piece) => {
    const part = content.subarray(299_000, 310_000)
    const bytes = await packed(part, compression)
    const read = await allBytes(decompressed(streamed(bytes, piece), compression))
    expect(read.equals(part)).toBe(true)
  })

  test('what we compress, others can read', async () => {
    if (!isEncoding(compression)) return
    const bytes = await allBytes(compressed(streamed(content), compression))
    expect((await unpacked(bytes, compression)).equals(content)).toBe(true)
  })

  test('is known by its first bytes, which stay', async () => {
    const nar = narOf(SMALL)
    const bytes = await packed(nar, compression)
    for (const piece of [1, 8, 1000]) {
      const shown = await compressionShownBy(streamed(bytes, piece))
      if (compression !== 'br') expect(shown.compression).toBe(compression)
      expect((await allBytes(shown.source)).equals(bytes)).toBe(true)
    }
  })

  test('an error of the source is told as it is, both ways', async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield (await packed(content, compression)).subarray(0, 1000)
      throw new Error('cable cut')
    }
    await expect(allBytes(decompressed(failing(), compression))).rejects.toThrow('cable cut')
    if (!isEncoding(compression)) return
    const source = Readable.from(failing(), { objectMode: false })
    await expect(allBytes(compressed(source, compression))).rejects.toThrow('cable cut')
  })

  test('a reader that leaves ends the source', async () => {
    const source = streamed(await packed(content, compression))
    for await (const _ of decompressed(source, compression)) break
    await until(() => source.destroyed)
  })

  test('content over the limit is refused, and up to it is not', async () => {
    const bytes = await packed(content, compression)
    const limit = (outputBytesMax: number) => outcome(bytes, compression, { outputBytesMax })
    expect(await limit(content.length)).toBe(content.length)
    expect(await limit(content.length - 1)).toBe('too-large')
    expect(await limit(0)).toBe('too-large')
  })
})

test.each(PACKED)('%s that is cut short is truncated, wherever it is cut', async (compression) => {
  const bytes = await packed(content, compression)
  for (const length of [0, 1, 20, bytes.length >> 1, bytes.length - 12, bytes.length - 1]) {
    for (const piece of [1000, bytes.length]) {
      const cut = await outcome(bytes.subarray(0, length), compression, { piece })
      expect({ length, piece, cut }).toEqual({ length, piece, cut: 'compression-truncated' })
    }
  }
})

test.each(PACKED)('%s that is malformed, or followed by anything, is refused', async (it) => {
  const bytes = await packed(content, it)
  expect(await outcome(noise(1000), it)).toMatch('compression-corrupt')
  const rests = ['x', '\0x', 'seven..', 'a few more than twelve bytes', '\0\0\0\0\0\0\0\0xxxx']
  for (const rest of rests) {
    const more = Buffer.concat([bytes, Buffer.from(rest)])
    for (const piece of [1000, bytes.length]) {
      const refused = await outcome(more, it, { piece })
      expect({ rest, refused }).toEqual({ rest, refused: expect.stringMatching(/^compression-/) })
    }
  }
})

test.each([
  'xz',
  'zstd',
  'gzip',
  ...(BZIP2_MISSING === undefined ? ['bzip2' as const] : []),
] as const)('%s of several streams in one is read to the last of them', async (compression) => {
  const parts = [content.subarray(0, 1000), content.subarray(299_000, 302_000), noise(7)]
  const streams = await Promise.all(parts.map((it) => packed(it, compression)))
  const bytes = Buffer.concat(streams)
  for (const piece of [1, 7, streams[0]!.length, 65_536]) {
    const read = await allBytes(decompressed(streamed(bytes, piece), compression))
    expect(read.equals(Buffer.concat(parts))).toBe(true)
  }
  const cut = await outcome(bytes.subarray(0, -1), compression)
  expect(cut).toBe('compression-truncated')
})

test('xz may be padded with zeros, in fours', async () => {
  const bytes = await packed(content, 'xz')
  const padded = (zeros: number) => outcome(Buffer.concat([bytes, Buffer.alloc(zeros)]), 'xz')
  expect(await padded(8)).toBe(content.length)
  expect(await padded(2000)).toBe(content.length)
  expect(await padded(6)).toMatch('compression-')
})

describe('what needs more memory or time than is given to it is refused', () => {
  test('xz', async () => {
    const bytes = await packed(content, 'xz')
    // The block's header follows the stream's 12 bytes: size, flags, LZMA2, 1, dictionary size.
    const header = bytes.subarray(12, 12 + (bytes[12]! + 1) * 4)
    expect(header[2]).toBe(0x21)
    header[4] = 37 // 2 GiB
    header.writeUInt32LE(crc32(header.subarray(0, -4)), header.length - 4)
    expect(await outcome(bytes, 'xz')).toBe('compression-memory')
  })

  test('zstd in frames of next to nothing', async () => {
    const empty = zstdCompressSync(Buffer.alloc(0))
    const frames = Buffer.concat(Array.from({ length: ZSTD_FRAMES_SPARE + 1 }, () => empty))
    expect(await outcome(frames, 'zstd')).toBe('compression-corrupt')
    expect(await outcome(frames.subarray(empty.length), 'zstd')).toBe(0)
  })

  test('zstd', async () => {
    const params = {
      [constants.ZSTD_c_windowLog]: 28,
      [constants.ZSTD_c_enableLongDistanceMatching]: 1,
    }
    expect(await outcome(zstdCompressSync(content, { params }), 'zstd')).toBe(content.length)
    const source = Readable.from([content], { objectMode: false })
    const { createZstdCompress } = await import('node:zlib')
    const streamOfUnknownSize = await allBytes(source.pipe(createZstdCompress({ params })))
    expect(await outcome(streamOfUnknownSize, 'zstd')).toBe('compression-memory')
  })

  test('brotli', async () => {
    const params = { [constants.BROTLI_PARAM_LARGE_WINDOW]: 1, [constants.BROTLI_PARAM_LGWIN]: 30 }
    expect(await outcome(brotliCompressSync(content, { params }), 'br')).toMatch('compression-')
  })
})

describe('a bomb', () => {
  const zeros = Buffer.alloc(32 * 1024 * 1024)

  test.each(PACKED)('of %s ends once it is too far beyond what it came as', async (compression) => {
    const bytes = await packed(zeros, compression)
    expect(await outcome(bytes, compression)).toBe(zeros.length) // a disk image is no bomb
    const suspected = await outcome(bytes, compression, { allowanceBytes: 1024 * 1024 })
    const ratio = zeros.length / bytes.length
    expect(suspected).toBe(ratio > 1000 ? 'too-large' : zeros.length)
  })

  test('within a bomb is no more than its first layer', async () => {
    const bytes = gzipSync(gzipSync(zeros))
    expect(await outcome(bytes, 'gzip')).toBe(gzipSync(zeros).length)
  })
})

test.each([
  ['x.nar', 'none'],
  ['x.nar.xz', 'xz'],
  ['x.nar.zst', 'zstd'],
  ['x.nar.bz2', 'bzip2'],
  ['x.nar.gz', 'gzip'],
  ['x.nar.br', 'br'],
  ['x.nar.lzip', undefined],
  ['nar', undefined],
  ['', undefined],
])('the name %s says %s', (name, compression) => {
  expect(compressionOf(name)).toBe(compression)
})

test.each([
  [undefined, 'none'],
  ['identity', 'none'],
  ['br', 'br'],
  [' GZIP ', 'gzip'],
  ['x-gzip', 'gzip'],
  ['xz', 'xz'],
  ['zstd', 'zstd'],
  ['bzip2', 'bzip2'],
  ['compress', undefined],
  ['gzip, br', undefined],
])('the Content-Encoding %s says %s', (coding, compression) => {
  expect(compressionOfCoding(coding)).toBe(compression)
})

test('an empty or very short stream is taken for a plain one', async () => {
  for (const bytes of [Buffer.of(), Buffer.of(0x28), Buffer.from('hello')]) {
    const { compression, source } = await compressionShownBy(streamed(bytes))
    expect(compression).toBe('none')
    expect((await allBytes(source)).equals(bytes)).toBe(true)
  }
})

test('a stream that fails before its first bytes is an error', async () => {
  const source = new Readable({ read: () => source.destroy(new Error('cable cut')) })
  await expect(compressionShownBy(source)).rejects.toThrow('cable cut')
})
