import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CHUNK_BYTES_AVG,
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  Chunker,
  type ChunkerInit,
} from '../../../src/castore/chunking/fast-cdc.ts'
import { concatBytes } from '../../../src/foundation/bytes.ts'
import { seededRandom } from '../../../src/foundation/random.ts'

/*
 * The oracle: FastCDC 2020 as published, two bytes at a time and in 64-bit arithmetic. The package
 * @dstanesc/wasm-chunking-fastcdc-node can not serve, it wraps fastcdc 1.0.6, another algorithm.
 */
const GEAR = Array.from({ length: 256 }, (_, value) =>
  createHash('md5').update(new Uint8Array(64).fill(value)).digest().readBigUInt64BE(0),
)
const MASKS = new Map([
  [256, { s: 0x0000019000353000n, l: 0x0000000018035100n }],
  [4096, { s: 0x0000d90303530000n, l: 0x0000d90003530000n }],
  [262_144, { s: 0x0000d91707537000n, l: 0x0000d90703537000n }],
])

function oracleCut(source: Uint8Array, min: number, avg: number, max: number): number {
  let remaining = source.length
  if (remaining <= min) return remaining
  let center = avg
  if (remaining > max) remaining = max
  else if (remaining < center) center = remaining
  const { s, l } = MASKS.get(avg)!
  let hash = 0n
  for (let i = Math.floor(min / 2); i < Math.floor(remaining / 2); i++) {
    const mask = i < Math.floor(center / 2) ? s : l
    hash = BigInt.asUintN(64, (hash << 2n) + (GEAR[source[2 * i]!]! << 1n))
    if ((hash & (mask << 1n)) === 0n) return 2 * i
    hash = BigInt.asUintN(64, hash + GEAR[source[2 * i + 1]!]!)
    if ((hash & mask) === 0n) return 2 * i + 1
  }
  return remaining
}

function oracle(source: Uint8Array, min: number, avg: number, max: number): number[] {
  const lengths: number[] = []
  for (let at = 0; at < source.length; at += lengths.at(-1)!) {
    lengths.push(oracleCut(source.subarray(at), min, avg, max))
  }
  return lengths
}

function chunksOf(pieces: readonly Uint8Array[], init?: ChunkerInit): Uint8Array[] {
  const chunker = new Chunker(init)
  const chunks = pieces.flatMap((piece) => chunker.push(piece))
  const last = chunker.finish()
  return last === undefined ? chunks : [...chunks, last]
}

function lengthsOf(pieces: readonly Uint8Array[], init?: ChunkerInit): number[] {
  return chunksOf(pieces, init).map((chunk) => chunk.length)
}

function randomBytes(length: number, seed: number): Uint8Array {
  const random = seededRandom(seed)
  return Uint8Array.from({ length }, () => random.integer(256))
}

/** Cuts the bytes into pieces, their lengths given in turn and from the beginning again. */
function pieces(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const result: Uint8Array[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!
    result.push(bytes.subarray(at, at + length))
    at += length
  }
  return result
}

const MIB = 1024 * 1024
const SMALL = { bytesMin: 64, bytesAvg: 256, bytesMax: 1024 }

describe('FastCDC v2020', () => {
  test('the gear table is the one of the Rust crate', () => {
    expect(GEAR[0]).toBe(0x3b5d3c7d207e37dcn)
    expect(GEAR[255]).toBe(0xaabd2b2a451504e1n)
  })

  test('chunks have 128, 256 and 512 KiB', () => {
    expect([CHUNK_BYTES_MIN, CHUNK_BYTES_AVG, CHUNK_BYTES_MAX]).toEqual([131072, 262144, 524288])
  })

  test('an empty blob has no chunk', () => {
    expect(chunksOf([])).toEqual([])
    expect(chunksOf([new Uint8Array(0)])).toEqual([])
  })

  test.each([
    ['random', (length: number) => randomBytes(length, 1)],
    ['zero', (length: number) => new Uint8Array(length)],
    ['0xff', (length: number) => new Uint8Array(length).fill(0xff)],
    ['counting', (length: number) => Uint8Array.from({ length }, (_, i) => i)],
    ['repeating', (length: number) => Buffer.alloc(length, randomBytes(70_001, 2))],
  ])('%s bytes are cut where the oracle cuts them', (_, make) => {
    const avg = CHUNK_BYTES_AVG
    for (const length of [
      1,
      2,
      CHUNK_BYTES_MIN - 1,
      CHUNK_BYTES_MIN,
      CHUNK_BYTES_MIN + 1,
      avg - 1,
      avg + 1,
      CHUNK_BYTES_MAX - 1,
      CHUNK_BYTES_MAX,
      CHUNK_BYTES_MAX + 1,
      MIB + 7,
      3 * MIB + 1,
    ]) {
      const bytes = make(length)
      const expected = oracle(bytes, CHUNK_BYTES_MIN, avg, CHUNK_BYTES_MAX)
      expect(lengthsOf([bytes])).toEqual(expected)
      expect(lengthsOf(pieces(bytes, [65_536]))).toEqual(expected)
      expect(lengthsOf(pieces(bytes, [1, 99_999, 3, 4095]))).toEqual(expected)
    }
  })

  test('random content of any length in any pieces is cut where the oracle cuts it', () => {
    const sizes = fc.constantFrom(
      SMALL,
      { bytesMin: 65, bytesAvg: 256, bytesMax: 1025 },
      { bytesMin: 1023, bytesAvg: 4096, bytesMax: 16_383 },
    )
    const lengths = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 9 })
    fc.assert(
      fc.property(fc.nat(40_000), fc.nat(), sizes, lengths, (length, seed, init, cuts) => {
        const bytes = randomBytes(length, seed)
        const chunks = chunksOf(pieces(bytes, cuts), init)
        const expected = oracle(bytes, init.bytesMin, init.bytesAvg, init.bytesMax)
        expect(chunks.map((chunk) => chunk.length)).toEqual(expected)
        expect(Buffer.compare(concatBytes(chunks), bytes)).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  test('a cut that falls on the odd last byte of a piece waits for the byte after it', () => {
    const bytes = randomBytes(100_000, 3)
    const expected = oracle(bytes, SMALL.bytesMin, SMALL.bytesAvg, SMALL.bytesMax)
    expect(lengthsOf(pieces(bytes, [1]), SMALL)).toEqual(expected)
    let end = 0
    for (const length of expected) {
      end += length
      for (const head of [end - 1, end, end + 1, end + 2]) {
        const prefix = bytes.subarray(0, head)
        expect(lengthsOf([prefix], SMALL)).toEqual(
          oracle(prefix, SMALL.bytesMin, SMALL.bytesAvg, SMALL.bytesMax),
        )
      }
      if (end > 20_000) break
    }
  })

  test('a chunk within one piece is not copied, and chunks stay as they are', () => {
    const bytes = randomBytes(8192, 4)
    const chunker = new Chunker(SMALL)
    const chunks = chunker.push(bytes)
    expect(chunks.every((chunk) => chunk.buffer === bytes.buffer)).toBe(true)
    const before = Buffer.concat(chunks)
    for (let i = 0; i < 100; i++) chunker.push(randomBytes(50, i))
    expect(Buffer.concat(chunks).equals(before)).toBe(true)
  })

  test('a chunker takes one blob after another', () => {
    const chunker = new Chunker(SMALL)
    const bytes = randomBytes(5000, 5)
    const first = [...chunker.push(bytes), chunker.finish()]
    expect([...chunker.push(bytes), chunker.finish()]).toEqual(first)
  })

  test('an average that has no mask is refused', () => {
    expect(() => new Chunker({ bytesAvg: 16 })).toThrow(RangeError)
  })
})
