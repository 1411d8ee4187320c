import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import { ProofError, type ProofFault } from '../../../src/castore/verified/proof-error.ts'
import { provenRange } from '../../../src/castore/verified/proven-range.ts'
import { type ByteRange, RangeProver } from '../../../src/castore/verified/range-prover.ts'
import type { Span } from '../../../src/castore/verified/tree-shape.ts'
import type { Digest } from '../../../src/foundation/digest.ts'
import { allBytes, call, collect, noise } from '../../fixtures/content.ts'
import { turned } from './bao-vectors.ts'
import { built } from './built.ts'

const GROUP = 16_384
const POOL = noise(2 * 1024 * 1024)

/** What was handed out, and the fault that ended it. */
interface Outcome {
  readonly proven: Buffer
  readonly fault: ProofFault | undefined
  /** Where the prover was before the fault. */
  readonly position: number
}

/** Feeds a range's span to a prover, in pieces of the given lengths in turn. */
function prove(
  outboard: Outboard,
  range: ByteRange,
  content: Uint8Array,
  lengths: readonly number[] = [Number.MAX_SAFE_INTEGER],
): Outcome {
  const prover = new RangeProver(outboard, range)
  const proven: Uint8Array[] = []
  let at = prover.span.from
  try {
    for (let i = 0; at < Math.min(prover.span.to, content.length); i++) {
      const to = Math.min(at + lengths[i % lengths.length]!, prover.span.to)
      proven.push(...prover.take(content.subarray(at, to)))
      at = to
      expect(prover.position).toBe(Math.min(at, content.length))
    }
    prover.finish()
  } catch (error) {
    if (!(error instanceof ProofError)) throw error
    return { proven: Buffer.concat(proven), fault: error.fault, position: prover.position }
  }
  return { proven: Buffer.concat(proven), fault: undefined, position: prover.position }
}

interface Sample {
  readonly content: Buffer
  readonly digest: Digest
  readonly outboard: Uint8Array
}

const samples = new Map<number, Sample>()

function sample(bytes: number): Sample {
  const content = POOL.subarray(0, bytes)
  const known = samples.get(bytes) ?? { content, ...built(content) }
  samples.set(bytes, known)
  return known
}

function claimOf({ content, digest, outboard }: Sample): Outboard {
  return new Outboard(digest, content.length, outboard)
}

const size = fc.oneof(
  fc.constantFrom(0, 1, 1023, 1024, 1025, GROUP - 1, GROUP, GROUP + 1),
  fc
    .tuple(fc.constantFrom(2, 4, 8, 32, 64), fc.nat(2))
    .map(([groups, more]) => groups * GROUP - 1 + more),
  fc.nat(200_000),
  fc.nat(POOL.length),
)
const lengths = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 3 * GROUP }),
    fc.constantFrom(GROUP, 4 * GROUP, 300_000, 1_000_000),
  ),
  { minLength: 1, maxLength: 5 },
)
const range = (bytes: number): fc.Arbitrary<ByteRange> =>
  fc.record({
    offset: fc.oneof(fc.nat(bytes + 2), fc.constantFrom(0, Math.floor(bytes / GROUP) * GROUP)),
    length: fc.oneof(fc.nat(bytes + 2), fc.nat(40_000), fc.constantFrom(0, 1, GROUP)),
  })

test('any range, its bytes coming in any pieces, is proven and handed out', () => {
  const scene = size.chain((bytes) => fc.tuple(fc.constant(bytes), range(bytes), lengths))
  fc.assert(
    fc.property(scene, ([bytes, { offset, length }, pieces]) => {
      const it = sample(bytes)
      const outcome = prove(claimOf(it), { offset, length }, it.content, pieces)
      expect(outcome.fault).toBeUndefined()
      expect(outcome.proven.equals(it.content.subarray(offset, offset + length))).toBe(true)
    }),
    { numRuns: 300 },
  )
})

test('what has to be read are the groups that the range touches', () => {
  const it = claimOf(sample(10 * GROUP + 100))
  const spanOf = (offset: number, length: number): readonly number[] => {
    const { from, to } = new RangeProver(it, { offset, length }).span
    return [from, to]
  }
  expect(spanOf(0, 1)).toEqual([0, GROUP])
  expect(spanOf(GROUP - 1, 2)).toEqual([0, 2 * GROUP])
  expect(spanOf(3 * GROUP, GROUP)).toEqual([3 * GROUP, 4 * GROUP])
  expect(spanOf(10 * GROUP, 5)).toEqual([10 * GROUP, 10 * GROUP + 100])
  expect(spanOf(9 * GROUP + 7, 10 ** 9)).toEqual([9 * GROUP, 10 * GROUP + 100])
  expect(spanOf(GROUP + 5, 0)).toEqual([GROUP, GROUP])
  expect(spanOf(10 ** 9, 5)).toEqual([10 * GROUP, 10 * GROUP + 100])
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
    expect(() => spanOf(bad, 1)).toThrow(RangeError)
    expect(() => spanOf(1, bad)).toThrow(RangeError)
  }
})

test('a turned bit of the data is found in its group, and nothing from there on is handed out', () => {
  const scene = fc
    .integer({ min: 1, max: 600_000 })
    .chain((bytes) => fc.tuple(fc.constant(bytes), fc.nat(bytes - 1), fc.nat(7), lengths))
  fc.assert(
    fc.property(scene, ([bytes, at, bit, pieces]) => {
      const it = sample(bytes)
      const group = Math.floor(at / GROUP)
      const bad = turned(it.content, at, bit)
      const outcome = prove(claimOf(it), { offset: 0, length: bytes }, bad, pieces)
      expect(outcome.fault).toEqual({ code: 'group-corrupt', group })
      expect(outcome.proven.length).toBeLessThanOrEqual(group * GROUP)
      expect(outcome.proven.length).toBe(outcome.position)
      expect(outcome.proven.equals(it.content.subarray(0, outcome.position))).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('group by group, all before the wrong one is handed out', () => {
  const it = sample(20 * GROUP - 9)
  for (const at of [0, GROUP, 7 * GROUP + 5, it.content.length - 1]) {
    const bad = turned(it.content, at)
    const outcome = prove(claimOf(it), { offset: 0, length: 10 ** 9 }, bad, [GROUP])
    expect(outcome.position).toBe(Math.floor(at / GROUP) * GROUP)
  }
})

test('a turned bit of the outboard is found by the first group below it', () => {
  const it = sample(37 * GROUP - 5)
  fc.assert(
    fc.property(fc.nat(it.outboard.length - 1), fc.nat(7), lengths, (at, bit, pieces) => {
      const bad = { ...it, outboard: turned(it.outboard, at, bit) }
      const whole = { offset: 0, length: it.content.length }
      const { fault, proven } = prove(claimOf(bad), whole, it.content, pieces)
      if (fault?.code !== 'parent-corrupt') throw new Error(`${fault?.code}`)
      expect(proven.length).toBeLessThanOrEqual(fault.firstGroup * GROUP)
      expect(proven.equals(it.content.subarray(0, proven.length))).toBe(true)
    }),
  )
})

test('whoever lies about the size is found out by whoever asks for the end', () => {
  const it = sample(5 * GROUP + 3)
  const claims = [1, GROUP, GROUP + 1, 4 * GROUP, 4 * GROUP + 1, 5 * GROUP, 5 * GROUP + 2]
  for (const claimed of [...claims, 5 * GROUP + 4, 6 * GROUP]) {
    const parents = Math.ceil(claimed / GROUP) - 1
    const claim = new Outboard(it.digest, claimed, it.outboard.subarray(0, 64 * parents))
    for (const offset of [0, claimed - 1, claimed, claimed + 10 * GROUP]) {
      const { fault, proven } = prove(claim, { offset, length: 10 ** 9 }, POOL, [GROUP])
      expect(fault, `${claimed}`).toBeDefined()
      const end = offset + proven.length
      expect(proven.equals(it.content.subarray(offset, Math.max(end, offset)))).toBe(true)
    }
  }
  expect(() => new Outboard(it.digest, 0, new Uint8Array(0))).toThrow(ProofError)
})

test('after a wrong byte another may go on from the last proven group', () => {
  const it = sample(20 * GROUP + 77)
  const prover = new RangeProver(claimOf(it), { offset: 10, length: 10 ** 9 })
  const proven = prover.take(it.content.subarray(0, 3 * GROUP + 100))
  expect(prover.position).toBe(3 * GROUP + 100)
  const bad = turned(it.content, 7 * GROUP)
  expect(() => prover.take(bad.subarray(3 * GROUP + 100, 9 * GROUP))).toThrow(ProofError)
  expect(prover.position).toBe(3 * GROUP) // what was held of group 3 came from the liar as well
  expect(() => prover.finish()).toThrow(ProofError)
  proven.push(...prover.take(it.content.subarray(prover.position)))
  prover.finish()
  expect(Buffer.concat(proven).equals(it.content.subarray(10))).toBe(true)
})

test('too few bytes are missing ones, too many are refused', () => {
  const it = sample(3 * GROUP + 5)
  const whole = { offset: 0, length: it.content.length }
  for (const short of [0, 1, GROUP, 3 * GROUP, 3 * GROUP + 4]) {
    const { fault, proven } = prove(claimOf(it), whole, it.content.subarray(0, short))
    expect(fault).toEqual({ code: 'bytes-missing', at: short })
    expect(proven.length).toBe(Math.floor(short / GROUP) * GROUP)
  }
  const prover = new RangeProver(claimOf(it), { offset: GROUP, length: 5 })
  expect(() => prover.take(it.content.subarray(GROUP, 2 * GROUP + 1))).toThrow(ProofError)
  expect(prover.take(it.content.subarray(GROUP, 2 * GROUP)).length).toBe(1)
  expect(() => prover.take(it.content.subarray(0, 1))).toThrow(ProofError)
})

test('a range is read from somebody, proven, and cut to what was asked for', async () => {
  const it = sample(9 * GROUP + 1)
  const asked: Span[] = []
  async function* read(content: Uint8Array, span: Span) {
    asked.push(span)
    for (let at = span.from; at < span.to; at += 10_000) {
      yield content.subarray(at, Math.min(at + 10_000, span.to))
    }
  }
  const wanted = { offset: 3 * GROUP + 5, length: 4 * GROUP }
  const good = provenRange(claimOf(it), wanted, (span) => read(it.content, span), call)
  const expected = it.content.subarray(wanted.offset, wanted.offset + wanted.length)
  expect((await allBytes(good)).equals(expected)).toBe(true)
  expect(asked).toEqual([{ from: 3 * GROUP, to: 8 * GROUP }])

  const short = provenRange(claimOf(it), wanted, () => read(it.content, { from: 0, to: 5 }), call)
  await expect(collect(short)).rejects.toThrow(ProofError)
  const bad = turned(it.content, 6 * GROUP)
  const wrong = provenRange(claimOf(it), wanted, (span) => read(bad, span), call)
  await expect(collect(wrong)).rejects.toThrow('the bytes of group 6 are wrong')

  const none = provenRange(claimOf(it), { offset: 5, length: 0 }, (span) => read(bad, span), call)
  expect(await collect(none)).toEqual([])
  const aborted = { signal: AbortSignal.abort(new Error('enough')) }
  const late = provenRange(claimOf(it), wanted, (span) => read(it.content, span), aborted)
  await expect(collect(late)).rejects.toThrow('enough')
})
