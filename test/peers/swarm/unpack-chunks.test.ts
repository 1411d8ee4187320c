import { zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { PACKED_CHUNK_BYTES_MAX } from '../../../src/castore/stores/chunk-packer.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import type { ChunkAnswer } from '../../../src/peers/exchange/want.ts'
import { PeerError } from '../../../src/peers/peer-error.ts'
import { unpackChunks } from '../../../src/peers/swarm/unpack-chunks.ts'
import { noise } from '../../fixtures/content.ts'

const text = Buffer.from('to be, or not to be, that is the question\n'.repeat(500))
const wanted = [Digest.ofContent(text)]
const unpack = async (chunk: Omit<ChunkAnswer, 'index'>) =>
  await unpackChunks('peer', [{ index: 0, ...chunk }], wanted)

test('frames come out as they went in, and are kept as they came; the rest is as it is', async () => {
  const frame = zstdCompressSync(text)
  const [packed] = await unpack({ data: frame, size: text.length })
  expect(text.equals(packed!.bytes)).toBe(true)
  expect(packed!.stored).toEqual({ packing: 'zstd', bytes: frame })
  expect(await unpack({ data: text })).toEqual([{ index: 0, bytes: text }])
})

test.each<[string, Omit<ChunkAnswer, 'index'>]>([
  ['no frame', { data: noise(100), size: 1000 }],
  ['a frame of more than it says', { data: zstdCompressSync(text), size: text.length - 1 }],
  ['a frame of less than it says', { data: zstdCompressSync(text), size: text.length + 1 }],
  ['a bomb', { data: zstdCompressSync(Buffer.alloc(300_000_000)), size: PACKED_CHUNK_BYTES_MAX }],
  ['a chunk that nobody makes', { data: zstdCompressSync(text), size: 2 ** 32 - 1 }],
  ['a frame that is no shorter than its chunk', { data: zstdCompressSync(noise(99)), size: 99 }],
  ['a frame that asks for a huge window', { data: withWindow(27), size: 1000 }],
])('%s is told as corrupt, at once', async (_, chunk) => {
  await expect(unpack(chunk)).rejects.toSatisfy(
    (error) => error instanceof PeerError && error.fault.code === 'content-corrupt',
  )
})

/** A frame of the text whose header asks for a window of 2^log bytes. */
function withWindow(log: number): Buffer {
  // Magic, a descriptor without content size and single segment, the window, one raw block.
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3])
  const block = Buffer.alloc(3)
  block.writeUIntLE((1000 << 3) | (1 << 1) | 1, 0, 3) // the last block: one byte, many times
  return Buffer.concat([header, block, Buffer.from('a')])
}
