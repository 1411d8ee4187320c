import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import { ProofError, type ProofFault } from '../../../src/castore/verified/proof-error.ts'
import { halvesOf, type Subtree, TreeShape } from '../../../src/castore/verified/tree-shape.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { noise } from '../../fixtures/content.ts'
import { turned } from './bao-vectors.ts'
import { built } from './built.ts'

const GROUP = 16_384

function faultOf(work: () => unknown): ProofFault | undefined {
  try {
    work()
  } catch (error) {
    if (error instanceof ProofError) return error.fault
    throw error
  }
  return undefined
}

/** The parents of a tree, in the outboard's order. */
function parentsOf(shape: TreeShape, subtree: Subtree = shape.root): Subtree[] {
  if (subtree.groups === 1) return []
  return [subtree, ...halvesOf(subtree).flatMap((half) => parentsOf(shape, half))]
}

test.each([0, 1, GROUP, GROUP + 1, 5 * GROUP, 33 * GROUP - 1, 64 * GROUP])(
  'what was built for %i bytes is right',
  (bytes) => {
    const { digest, size, outboard } = built(noise(bytes))
    new Outboard(digest, size, outboard).verify()
  },
)

test('an outboard has one right length, which is checked before all else', () => {
  const { digest, size, outboard } = built(noise(5 * GROUP))
  expect(outboard.length).toBe(256)
  for (const bytes of [0, 64, 192, 255, 257, 320]) {
    const wrong = Buffer.concat([outboard, outboard]).subarray(0, bytes)
    expect(faultOf(() => new Outboard(digest, size, wrong))).toEqual({
      code: 'outboard-length',
      bytes,
      expected: 256,
    })
  }
  const huge = faultOf(() => new Outboard(digest, Number.MAX_SAFE_INTEGER, outboard))
  expect(huge?.code).toBe('outboard-length')
})

test('a size that no blob has is refused', () => {
  const digest = Digest.ofContent(noise(0))
  for (const size of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    const fault = faultOf(() => new Outboard(digest, size, new Uint8Array(0)))
    expect(fault).toEqual({ code: 'size-invalid', size })
  }
})

test('a turned bit anywhere is found, and which parent is wrong', () => {
  const content = noise(37 * GROUP - 5)
  const { digest, size, outboard } = built(content)
  const parents = parentsOf(new TreeShape(size))
  expect(parents.map(({ parent }) => parent)).toEqual(parents.map((_, i) => i))
  fc.assert(
    fc.property(fc.nat(outboard.length - 1), fc.nat(7), (at, bit) => {
      const claim = new Outboard(digest, size, turned(outboard, at, bit))
      const { firstGroup, groups } = parents[Math.floor(at / 64)]!
      expect(faultOf(() => claim.verify())).toEqual({ code: 'parent-corrupt', firstGroup, groups })
    }),
  )
})

test('another digest is found at the root', () => {
  const { size, outboard } = built(noise(5 * GROUP))
  const claim = new Outboard(Digest.ofContent(noise(3)), size, outboard)
  expect(faultOf(() => claim.verify())).toMatchObject({ firstGroup: 0, groups: 5 })
})

test('a tree below the top does not pass for a whole one', () => {
  const { outboard } = built(noise(4 * GROUP))
  const content = noise(4 * GROUP).subarray(0, 2 * GROUP)
  // The value that the root has for its left half: without the root flag it is no digest.
  const claim = new Outboard(Digest.of(outboard.slice(0, 32)), 2 * GROUP, outboard.slice(64, 128))
  expect(faultOf(() => claim.verify())?.code).toBe('parent-corrupt')
  new Outboard(Digest.ofContent(content), 2 * GROUP, outboard.slice(64, 128)).verify()
})

test('only the parents on the way to a group are looked at', () => {
  const { digest, size, outboard } = built(noise(64 * GROUP))
  // Behind the root the left half's parents come, and then the right half's.
  const claim = new Outboard(digest, size, turned(outboard, 64 * 40))
  const left = claim.expectedFrom(0)
  for (let group = 0; group < 32; group++) left.next()
  const right = claim.expectedFrom(63)
  right.next()
  expect(() => right.next()).toThrow(RangeError)
  const wrong = claim.expectedFrom(38)
  const [first, again] = [faultOf(() => wrong.next()), faultOf(() => wrong.next())]
  expect(first?.code).toBe('parent-corrupt')
  expect(again).toEqual(first)
})
