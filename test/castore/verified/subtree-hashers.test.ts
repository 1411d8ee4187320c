import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fastestSubtreeHasher } from '../../../src/castore/verified/fastest-subtree-hasher.ts'
import { PlainSubtreeHasher } from '../../../src/castore/verified/plain-subtree-hasher.ts'
import {
  BATCH_BYTES,
  SimdSubtreeHasher,
} from '../../../src/castore/verified/simd-subtree-hasher.ts'
import { blake3 } from '../../../src/foundation/blake3.ts'
import { noise } from '../../fixtures/content.ts'
import { built } from './built.ts'

const VECTORS = fileURLToPath(new URL('../../../../shared/vectors/blake3.json', import.meta.url))
const missing = existsSync(VECTORS) ? undefined : `${VECTORS} is not there`

const plain = new PlainSubtreeHasher()
const simd = SimdSubtreeHasher.compile()

test('this machine has SIMD, and it is made use of', () => {
  expect(simd).toBeDefined()
  expect(fastestSubtreeHasher()).toBeInstanceOf(SimdSubtreeHasher)
  expect(fastestSubtreeHasher()).toBe(fastestSubtreeHasher())
})

describe.each([
  ['plain', plain],
  ['SIMD', simd!],
])('%s', (_, hasher) => {
  test.skipIf(missing)(`the test vectors of BLAKE3 ${missing ?? ''}`, () => {
    const { cases } = JSON.parse(readFileSync(VECTORS, 'utf8'))
    expect(cases.length).toBe(35)
    for (const { input_len, hash } of cases) {
      const content = Uint8Array.from({ length: input_len }, (_, i) => i % 251)
      for (const groupLog of [0, 1, 4]) {
        expect(built(content, { hasher, groupLog }).digest.hex).toBe(hash.slice(0, 64))
      }
    }
  })

  test.each([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 255, 257])(
    'a tree of %i leaves has the digest that the whole content has',
    (leaves) => {
      for (const bytes of [leaves * 1024 - 1023, leaves * 1024 - 1, leaves * 1024]) {
        const content = noise(bytes, leaves)
        for (const groupLog of [0, 1, 4]) {
          const { digest } = built(content, { hasher, groupLog })
          expect(Buffer.from(digest.bytes)).toEqual(Buffer.from(blake3(content)))
        }
      }
    },
  )

  test('answers are in memory of their own', () => {
    const pairs = noise(128)
    const [first, second] = [hasher.parents(pairs), hasher.root(pairs.subarray(64))]
    const copies = [first, second].map((it) => Buffer.from(it))
    hasher.groups(noise(40_000), 0, 4)
    expect([first, second].map((it) => Buffer.from(it))).toEqual(copies)
  })
})

test('SIMD says what the plain one says: groups', () => {
  const firstLeaf = fc.oneof(
    fc.nat(1000),
    fc.nat(40).map((it) => 2 ** 32 - 20 + it),
    fc.nat(40).map((it) => 2 ** 42 - 20 + it),
  )
  const near = (bytes: number) => fc.nat(4).map((it) => bytes - 2 + it)
  const length = fc.oneof(
    fc.integer({ min: 1, max: 2000 }),
    fc.integer({ min: 1, max: 60_000 }),
    fc.constantFrom(64, 1024, 4096, 16_384, 32_768, BATCH_BYTES).chain(near),
  )
  fc.assert(
    fc.property(length, firstLeaf, fc.nat(8), (bytes, leaf, groupLog) => {
      const content = noise(bytes, leaf)
      const group = Math.floor(leaf / 2 ** groupLog)
      const [actual, expected] = [simd!, plain].map((it) => it.groups(content, group, groupLog))
      expect(Buffer.from(actual!)).toEqual(Buffer.from(expected!))
    }),
    { numRuns: 200 },
  )
})

test('SIMD says what the plain one says: parents', () => {
  for (const count of [0, 1, 2, 3, 4, 5, 63, 255, 256, 257, 4099]) {
    const pairs = noise(64 * count, count)
    expect(Buffer.from(simd!.parents(pairs))).toEqual(Buffer.from(plain.parents(pairs)))
  }
  expect(Buffer.from(simd!.root(noise(64)))).toEqual(Buffer.from(plain.root(noise(64))))
})
