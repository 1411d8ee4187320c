import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { compressed } from '../../src/nar/compression.ts'
import {
  COMPRESSIONS,
  type Compression,
  compressionOf,
  compressionShownBy,
  decompressed,
} from '../../src/nar/decompression.ts'
import { until } from '../fixtures/await-peers.ts'
import { allBytes, noise } from '../fixtures/content.ts'
import { packed, unpacked } from './packed.ts'
import { inPieces, narOf, SMALL } from './trees.ts'

const PACKED = COMPRESSIONS.filter((it) => it !== 'none')
const content = Buffer.concat([noise(300_000, 'packed'), Buffer.alloc(300_000)])

function streamed(bytes: Uint8Array, piece = 10_007): Readable {
  return Readable.from(inPieces(bytes, [piece]), { objectMode: false })
}

async function outcome(source: Readable, compression: Compression): Promise<string> {
  return await allBytes(decompressed(source, compression)).then(
    (bytes) => (bytes.equals(content) ? 'whole' : `${bytes.length} bytes`),
    () => 'error',
  )
}

describe.each(COMPRESSIONS)('%s', (compression) => {
  test.each([1, 100, 65_536])('comes out as it went in, in pieces of %i', async (piece) => {
    const bytes = await packed(content.subarray(299_000, 310_000), compression)
    const read = await allBytes(decompressed(streamed(bytes, piece), compression))
    expect(read.equals(content.subarray(299_000, 310_000))).toBe(true)
  })

  test('what we compress, others can read', async () => {
    const bytes = await allBytes(compressed(streamed(content), compression))
    expect((await unpacked(bytes, compression)).equals(content)).toBe(true)
  })

  test('is known by its first bytes, which stay', async () => {
    const nar = narOf(SMALL)
    const bytes = await packed(nar, compression)
    for (const piece of [8, 1000]) {
      const source = streamed(bytes, piece)
      expect(await compressionShownBy(source)).toBe(compression)
      expect((await allBytes(source)).equals(bytes)).toBe(true)
    }
  })

  test('an error of the source is told, both ways', async () => {
    for (const through of [compressed, decompressed]) {
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield (await packed(content, compression)).subarray(0, 1000)
        throw new Error('cable cut')
      }
      const source = Readable.from(failing(), { objectMode: false })
      await expect(allBytes(through(source, compression))).rejects.toThrow('cable cut')
    }
  })

  test('a reader that leaves ends the source', async () => {
    const source = streamed(await packed(content, compression))
    for await (const _ of decompressed(source, compression)) break
    await until(() => source.destroyed)
  })
})

test.each(PACKED)('%s that is cut short or malformed is an error', async (compression) => {
  const bytes = await packed(content, compression)
  for (const length of [1, 20, bytes.length >> 1, bytes.length - 100]) {
    expect(await outcome(streamed(bytes.subarray(0, length)), compression)).not.toBe('whole')
  }
  expect(await outcome(streamed(noise(1000)), compression)).toBe('error')
})

test.each([
  ['x.nar', 'none'],
  ['x.nar.xz', 'xz'],
  ['x.nar.zst', 'zstd'],
  ['x.nar.gz', 'gzip'],
  ['x.nar.bz2', undefined],
  ['x.nar.br', undefined],
  ['nar', undefined],
  ['', undefined],
])('the name %s says %s', (name, compression) => {
  expect(compressionOf(name)).toBe(compression)
})

test('an empty or very short stream is taken for a plain one', async () => {
  for (const bytes of [Buffer.of(), Buffer.of(0x28), Buffer.from('hello')]) {
    const source = streamed(bytes)
    expect(await compressionShownBy(source)).toBe('none')
    expect((await allBytes(source)).equals(bytes)).toBe(true)
  }
})

test('a stream that fails before its first bytes is an error', async () => {
  const source = new Readable({ read: () => source.destroy(new Error('cable cut')) })
  await expect(compressionShownBy(source)).rejects.toThrow('cable cut')
})

test('xz that would need more memory than is given to it is refused', async () => {
  const bytes = await packed(content, 'xz')
  expect(await outcome(streamed(bytes), 'xz')).toBe('whole')
  // The block's header follows the stream's 12 bytes: size, flags, LZMA2, 1, dictionary size.
  const header = bytes.subarray(12, 12 + (bytes[12]! + 1) * 4)
  expect(header[2]).toBe(0x21)
  header[4] = 37 // 2 GiB
  header.writeUInt32LE(crc32(header.subarray(0, -4)), header.length - 4)
  const failed = allBytes(decompressed(streamed(bytes), 'xz'))
  await expect(failed).rejects.toThrow(/memory/i)
})
