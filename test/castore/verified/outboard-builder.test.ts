import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OutboardBuilder } from '../../../src/castore/verified/outboard-builder.ts'
import { PARENT_BYTES, TreeShape } from '../../../src/castore/verified/tree-shape.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { noise } from '../../fixtures/content.ts'
import { built, outboardByDefinition } from './built.ts'

const POOL = noise(3 * 1024 * 1024)

const around = (bytes: number): number[] => [bytes - 1, bytes, bytes + 1]
const SIZES = [
  0,
  1,
  2,
  ...around(1024),
  ...[1, 2, 3, 4, 5, 7, 8, 16, 31, 64].flatMap((groups) => around(groups * 16_384)),
]

test.each(SIZES)('%i bytes: digest, size and outboard are as defined', (bytes) => {
  const content = POOL.subarray(0, bytes)
  const { digest, size, outboard } = built(content)
  expect(digest.hex).toBe(Digest.ofContent(content).hex)
  expect(size).toBe(bytes)
  expect(outboard.length).toBe(new TreeShape(bytes).outboardBytes)
  expect(Buffer.from(outboard).equals(outboardByDefinition(content))).toBe(true)
})

test('an outboard has a parent less than there are groups, and none for one group', () => {
  for (const [bytes, parents] of [
    [0, 0],
    [16_384, 0],
    [16_385, 1],
    [3 * 16_384, 2],
    [100 * 16_384 + 1, 100],
  ] as const) {
    expect(new TreeShape(bytes).outboardBytes).toBe(parents * PARENT_BYTES)
  }
  expect(PARENT_BYTES / 16_384).toBeCloseTo(0.0039, 4)
})

test('content in any pieces, in groups of any size', () => {
  const piece = fc.oneof(
    fc.nat(300),
    fc.nat(20_000),
    fc.constantFrom(1024, 16_384, 16_384 * 3, 300_000),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(5), (lengths, groupLog) => {
      const builder = new OutboardBuilder({ groupLog })
      let at = 0
      for (const length of lengths) {
        const bytes = Uint8Array.from(POOL.subarray(at, at + length))
        builder.push(bytes)
        bytes.fill(0) // it is not kept
        at = Math.min(at + length, POOL.length)
      }
      const content = POOL.subarray(0, at)
      const { digest, size, outboard } = builder.finish()
      expect(digest.hex).toBe(Digest.ofContent(content).hex)
      expect(size).toBe(at)
      expect(Buffer.from(outboard).equals(outboardByDefinition(content, groupLog))).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test('a builder takes one blob after the other', () => {
  const builder = new OutboardBuilder()
  const contents = [70_000, 16_384, 0, 5, 16_385, 2_000_000].map((it) => noise(it, it))
  const once = contents.map((content) => built(content))
  const again = contents.map((content) => {
    builder.push(content)
    return builder.finish()
  })
  expect(again).toEqual(once)
})

test('groups of a size that is not supported are refused', () => {
  for (const groupLog of [-1, 9, 0.5, Number.NaN]) {
    expect(() => new OutboardBuilder({ groupLog })).toThrow(RangeError)
  }
})
