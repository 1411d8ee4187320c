import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NarError } from '../../src/nar/nar-error.ts'
import { ZSTD_WINDOW_BYTES_MAX, ZstdFrames } from '../../src/nar/zstd-frames.ts'
import { noise } from '../fixtures/content.ts'

/** The frames in bytes that come in pieces, or the code of the fault. */
function framesOf(bytes: Uint8Array, piece: number, windowBytesMax?: number): Buffer[] | string {
  const frames: Buffer[] = []
  let parts: Uint8Array[] = []
  try {
    const reader = new ZstdFrames(windowBytesMax === undefined ? {} : { windowBytesMax })
    for (let at = 0; at < bytes.length; at += piece) {
      for (const event of reader.push(bytes.subarray(at, at + piece))) {
        if (event.type === 'begin') parts = []
        else if (event.type === 'bytes') parts.push(Uint8Array.from(event.bytes))
        else frames.push(Buffer.concat(parts))
      }
    }
    reader.end()
    return frames
  } catch (error) {
    if (error instanceof NarError) return error.fault.code
    throw error
  }
}

const skippable = (bytes: number, kind = 0): Buffer => {
  const frame = Buffer.alloc(8 + bytes, 0x28)
  frame.writeUInt32LE(0x184d2a50 + kind, 0)
  frame.writeUInt32LE(bytes, 4)
  return frame
}

test('frames come out one by one and whole, skippable ones do not, however the bytes come', () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.nat(400_000).map((length) => noise(length, length)),
    fc.nat(400_000).map((length) => Buffer.alloc(length)),
  )
  const part = fc.oneof(
    content.map((bytes) => ({ bytes: Buffer.from(bytes), frame: zstdCompressSync(bytes) })),
    fc.tuple(fc.nat(50), fc.nat(15)).map(([bytes, kind]) => ({
      bytes: undefined,
      frame: skippable(bytes, kind),
    })),
  )
  const parts = fc.array(part, { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(parts, fc.integer({ min: 1, max: 5_000 }), (given, piece) => {
      const frames = framesOf(Buffer.concat(given.map(({ frame }) => frame)), piece)
      const expected = given.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]))
      const contents = (frames as Buffer[]).map((it) => zstdDecompressSync(it))
      expect(contents.map((it) => it.toString('hex'))).toEqual(
        expected.map((it) => it.toString('hex')),
      )
    }),
    { numRuns: 40 },
  )
})

test('whatever comes, there are frames or a fault', () => {
  const frame = zstdCompressSync(noise(1000))
  const edited = fc.tuple(fc.nat(frame.length - 1), fc.nat(255)).map(([at, value]) => {
    const copy = Buffer.from(frame)
    copy[at] = value
    return copy
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), edited), (bytes) => {
      const frames = framesOf(bytes, 7)
      if (typeof frames === 'string') expect(frames).toMatch(/^compression-/)
    }),
  )
})

test('every cut is noticed', () => {
  const bytes = Buffer.concat([zstdCompressSync(noise(300)), skippable(5), zstdCompressSync('x')])
  const first = zstdCompressSync(noise(300)).length
  const whole = [first, first + 13, bytes.length]
  for (let length = 0; length <= bytes.length; length++) {
    const frames = framesOf(bytes.subarray(0, length), 3)
    if (whole.includes(length)) expect(frames).toBeInstanceOf(Array)
    else expect(frames).toBe('compression-truncated')
  }
})

describe('a window over the limit is refused from the header alone', () => {
  const head = (descriptor: number, ...rest: number[]): Buffer =>
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor, ...rest])
  test.each([
    ['128 MiB', head(0x00, (17 << 3) | 0), 'compression-truncated'],
    ['144 MiB', head(0x00, (17 << 3) | 1), 'compression-memory'],
    ['3.75 TiB', head(0x00, 0xff), 'compression-memory'],
    ['a single segment of 128 MiB', head(0xa0, 0, 0, 0, 8), 'compression-truncated'],
    ['a single segment of more', head(0xa0, 1, 0, 0, 8), 'compression-memory'],
    ['a single segment of 2^64 - 1', head(0xe0, ...Array(8).fill(0xff)), 'compression-memory'],
    ['a reserved bit', head(0x08, 0), 'compression-corrupt'],
    ['a dictionary', head(0x01, 0, 7), 'compression-corrupt'],
  ])('%s', (_, bytes, expected) => {
    expect(framesOf(bytes, 1)).toBe(expected)
    expect(framesOf(bytes, 100)).toBe(expected)
  })

  test('and the limit is the caller’s', () => {
    const bytes = zstdCompressSync(noise(100_000))
    expect(framesOf(bytes, 1000, 50_000)).toBe('compression-memory')
    expect(framesOf(bytes, 1000, ZSTD_WINDOW_BYTES_MAX)).toHaveLength(1)
  })
})
