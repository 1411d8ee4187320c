import { describe, expect, test } from 'vitest'
import {
  BAO_GROUP_LOG,
  decodeHeadedOutboard,
  decodeSlice,
  encodeHeadedOutboard,
  encodeSlice,
} from '../../../src/castore/verified/bao-codec.ts'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import { PlainSubtreeHasher } from '../../../src/castore/verified/plain-subtree-hasher.ts'
import { ProofError } from '../../../src/castore/verified/proof-error.ts'
import { RangeProver } from '../../../src/castore/verified/range-prover.ts'
import type { SubtreeHasher } from '../../../src/castore/verified/subtree-hasher.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { noise } from '../../fixtures/content.ts'
import { baoContent, baoMissing, baoVectors, turned } from './bao-vectors.ts'
import { built } from './built.ts'

const groupLog = BAO_GROUP_LOG
const EVERYTHING = { offset: 0, length: Number.MAX_SAFE_INTEGER }

/** Proves content from an offset to the end by an outboard with a header; all of it has to come. */
function decoded(headed: Uint8Array, content: Uint8Array, digest: Digest, offset = 0): Uint8Array {
  const { size, outboard } = decodeHeadedOutboard(headed)
  const claim = new Outboard(digest, size, outboard, { groupLog })
  const prover = new RangeProver(claim, { offset, length: Number.MAX_SAFE_INTEGER - offset })
  const proven = prover.take(content.subarray(prover.span.from))
  prover.finish()
  return Buffer.concat(proven)
}

describe.skipIf(baoMissing)(`the test vectors of bao ${baoMissing ?? ''}`, () => {
  const vectors = baoMissing === undefined ? baoVectors() : undefined

  test.each<[string, SubtreeHasher | undefined]>([
    ['fastest', undefined],
    ['plain', new PlainSubtreeHasher()],
  ])('hash, by the %s hasher', (_, hasher) => {
    expect(vectors!.hash.length).toBe(13)
    for (const { input_len, bao_hash } of vectors!.hash) {
      const init = hasher === undefined ? { groupLog } : { groupLog, hasher }
      expect(built(baoContent(input_len), init).digest.hex).toBe(bao_hash)
    }
  })

  test('outboard, and every corruption of it and of the content', () => {
    expect(vectors!.outboard.length).toBe(13)
    for (const it of vectors!.outboard) {
      const content = baoContent(it.input_len)
      const { digest, ...rest } = built(content, { groupLog })
      const headed = encodeHeadedOutboard(rest)
      expect([digest.hex, headed.length]).toEqual([it.bao_hash, it.output_len])
      expect(Digest.ofContent(headed).hex).toBe(it.encoded_blake3)
      expect(Buffer.from(content).equals(decoded(headed, content, digest))).toBe(true)
      for (const bit of [0, 7]) {
        for (const at of it.outboard_corruptions) {
          const bad = turned(headed, at, bit)
          expect(() => decoded(bad, content, digest), `outboard ${at}`).toThrow(ProofError)
        }
        for (const at of it.input_corruptions) {
          const bad = turned(content, at, bit)
          expect(() => decoded(headed, bad, digest), `input ${at}`).toThrow(ProofError)
        }
      }
    }
  })

  test('encode, and every corruption of it', () => {
    expect(vectors!.encode.length).toBe(13)
    for (const it of vectors!.encode) {
      const content = baoContent(it.input_len)
      const { digest, outboard } = built(content, { groupLog })
      const encoded = encodeSlice(content, outboard, EVERYTHING)
      expect([digest.hex, encoded.length]).toEqual([it.bao_hash, it.output_len])
      expect(Digest.ofContent(encoded).hex).toBe(it.encoded_blake3)
      expect(decodeSlice(digest, encoded, EVERYTHING)).toEqual(Buffer.from(content))
      for (const at of it.corruptions) {
        for (const bit of [0, 7]) {
          const bad = turned(encoded, at, bit)
          expect(() => decodeSlice(digest, bad, EVERYTHING), `${at}`).toThrow(ProofError)
        }
      }
    }
  })

  test('seek', () => {
    expect(vectors!.seek.length).toBe(13)
    for (const { input_len, seek_offsets } of vectors!.seek) {
      const content = baoContent(input_len)
      const { digest, ...rest } = built(content, { groupLog })
      for (const offset of seek_offsets) {
        const tail = Buffer.from(content.subarray(offset))
        expect(decoded(encodeHeadedOutboard(rest), content, digest, offset)).toEqual(tail)
        const range = { ...EVERYTHING, offset }
        const slice = encodeSlice(content, rest.outboard, range)
        expect(decodeSlice(digest, slice, range)).toEqual(tail)
      }
    }
  })

  test('slice, and every corruption of it', () => {
    expect(vectors!.slice.length).toBe(13)
    for (const { input_len, bao_hash, slices } of vectors!.slice) {
      const content = baoContent(input_len)
      const { digest, outboard } = built(content, { groupLog })
      expect(digest.hex).toBe(bao_hash)
      for (const it of slices) {
        const range = { offset: it.start, length: it.len }
        const slice = encodeSlice(content, outboard, range)
        expect(slice.length).toBe(it.output_len)
        expect(Digest.ofContent(slice).hex).toBe(it.output_blake3)
        const wanted = Buffer.from(content.subarray(it.start, it.start + it.len))
        expect(decodeSlice(digest, slice, range)).toEqual(wanted)
        for (const at of it.corruptions) {
          const bad = turned(slice, at)
          expect(() => decodeSlice(digest, bad, range), `${at}`).toThrow(ProofError)
        }
      }
    }
  })
})

test('a slice of groups of 16 KiB proves its range, and neither more nor less will do', () => {
  const content = noise(500_001)
  const { digest, outboard } = built(content)
  const range = { offset: 70_000, length: 100_000 }
  const slice = encodeSlice(content, outboard, range, 4)
  expect(slice.length).toBeLessThan(8 * 16_384)
  const wanted = content.subarray(70_000, 170_000)
  expect(decodeSlice(digest, slice, range, 4)).toEqual(wanted)
  const codeOf = (bytes: Uint8Array): string => {
    try {
      decodeSlice(digest, bytes, range, 4)
    } catch (error) {
      if (error instanceof ProofError) return error.fault.code
    }
    return 'accepted'
  }
  for (const short of [0, 7, 8, 71, 72, slice.length - 1]) {
    expect(codeOf(slice.subarray(0, short))).toBe('bytes-missing')
  }
  expect(codeOf(Buffer.concat([slice, Buffer.alloc(1)]))).toBe('bytes-beyond')
  expect(codeOf(Buffer.concat([Buffer.alloc(8, 0xff), slice.subarray(8)]))).toBe('size-invalid')
})

test('what is shorter than a header is refused, whatever lies behind it', () => {
  for (const short of [0, 1, 7]) {
    const view = Buffer.alloc(100).subarray(20, 20 + short)
    expect(() => decodeHeadedOutboard(view)).toThrow(ProofError)
  }
  expect(decodeHeadedOutboard(Buffer.alloc(8))).toEqual({ size: 0, outboard: Buffer.alloc(0) })
})
