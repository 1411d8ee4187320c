import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Digest } from '../../../src/foundation/digest.ts'
import { claimIdentity } from '../../../src/pathinfo/root-fingerprint.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/peers/exchange/exchange-codec.ts'
import { REQUEST_FRAME_BYTES_MAX } from '../../../src/peers/exchange/frame-channel.ts'
import { type Answer, WANTS_MAX, type Want } from '../../../src/peers/exchange/want.ts'
import { anyPathInfo } from '../../fixtures/claims.ts'
import { noise } from '../../fixtures/content.ts'

const id = fc.integer({ min: 1, max: 0xffffffff })
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const digest = bytes(32).map((it) => Digest.of(it))
const digests = fc.array(digest, { minLength: 1, maxLength: 20 })
const index = fc.nat(0xffffffff)

const anyWant: fc.Arbitrary<Want> = fc.oneof(
  fc.record({
    type: fc.constant('path-infos' as const),
    hashes: fc.array(bytes(20), { minLength: 1, maxLength: 20 }),
  }),
  fc.record({ type: fc.constant('closure' as const), root: digest }),
  fc.record({ type: fc.constant('directories' as const), digests }),
  fc.record({ type: fc.constant('layouts' as const), digests }),
  fc.record({ type: fc.constant('layouts' as const), digests, outboards: fc.constant(true) }),
  fc.record({ type: fc.constant('chunks' as const), digests }),
  fc.record({ type: fc.constant('swarm' as const), root: digest, pieces: bytes(32) }),
  fc.record({ type: fc.constant('filter' as const), key: bytes(16) }),
  fc.record({ type: fc.constant('pull' as const), name: digest }),
)

const anyBytes = fc.uint8Array({ maxLength: 300 })

const anyAnswer: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({
    type: fc.constant('pull' as const),
    news: fc.record({
      phase: fc.constantFrom('waiting' as const, 'pulling' as const, 'complete' as const),
      run: fc.nat(2 ** 32 - 1),
      pulledBytes: fc.maxSafeNat(),
      chunks: fc.array(fc.record({ digest, size: fc.integer({ min: 1, max: 2 ** 31 }) })),
    }),
  }),
  fc.record({
    type: fc.constant('filter' as const),
    news: fc.record(
      { bits: anyBytes, added: anyBytes, snapshotBytes: fc.nat(2 ** 32 - 1) },
      { requiredKeys: ['bits', 'added'] },
    ),
  }),
  fc.record({ type: fc.constant('path-info' as const), index, pathInfo: anyPathInfo }),
  fc.record({
    type: fc.constant('directories' as const),
    encoded: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
  }),
  fc.record(
    {
      type: fc.constant('layout' as const),
      index,
      layout: fc.array(fc.record({ digest, size: fc.integer({ min: 1, max: 2 ** 31 }) })),
      outboard: fc.uint8Array({ maxLength: 300 }),
    },
    { requiredKeys: ['type', 'index', 'layout'] },
  ),
  fc.record({
    type: fc.constant('chunks' as const),
    chunks: fc.array(fc.record({ index, data: fc.uint8Array({ maxLength: 300 }) })),
  }),
  fc.record({
    type: fc.constant('availability' as const),
    availability: fc.record(
      {
        complete: fc.boolean(),
        held: fc.uint8Array({ maxLength: 300 }),
        added: fc.array(index),
        claimed: fc.array(index),
        released: fc.array(index),
        division: fc.record({ members: fc.integer({ min: 1, max: 1000 }), rank: fc.nat(1000) }),
      },
      { requiredKeys: ['complete', 'added', 'claimed', 'released'] },
    ),
  }),
  fc.record({ type: fc.constant('absent' as const), indices: fc.array(index) }),
  fc.record({ type: fc.constant('refused' as const), reason: fc.string({ maxLength: 200 }) }),
  fc.record({ type: fc.constant('done' as const) }),
)

/** Values with every byte string in hexadecimal, so that they compare whatever holds the bytes. */
function shown(value: unknown): string {
  return JSON.stringify(inHex(value))
}

function inHex(value: unknown): unknown {
  if (isBytes(value)) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(inHex)
  if (typeof value !== 'object' || value === null || value instanceof Digest) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, it]) => [key, inHex(it)]))
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array
}

test('a request is read back as it was written', () => {
  fc.assert(
    fc.property(id, anyWant, (requestId, want) => {
      const read = decodeRequest(encodeRequest(requestId, want))
      expect(read.id).toBe(requestId)
      expect(read.want).not.toBe('cancel')
      expect(shown(sayable(read.want as Want))).toBe(shown(sayable(want)))
    }),
  )
  expect(decodeRequest(encodeRequest(7, 'cancel'))).toEqual({ id: 7, want: 'cancel' })
})

function sayable(want: Want): unknown {
  switch (want.type) {
    case 'path-infos':
      return want.hashes.map((hash) => Buffer.from(hash).toString('hex'))
    case 'closure':
      return want.root.hex
    case 'layouts':
      return { digests: want.digests.map(({ hex }) => hex), outboards: want.outboards ?? false }
    case 'swarm':
      return [want.root.hex, Buffer.from(want.pieces).toString('hex')]
    case 'pull':
      return want.name.hex
    case 'filter':
      return Buffer.from(want.key).toString('hex')
    default:
      return want.digests.map(({ hex }) => hex)
  }
}

test('an answer is read back as it was written', () => {
  fc.assert(
    fc.property(id, anyAnswer, (requestId, answer) => {
      const read = decodeResponse(Buffer.concat(encodeResponse(requestId, answer)))
      expect(read.id).toBe(requestId)
      if (answer.type === 'path-info' && read.answer.type === 'path-info') {
        expect(read.answer.index).toBe(answer.index)
        expect(claimIdentity(read.answer.pathInfo)).toBe(claimIdentity(answer.pathInfo))
      } else if (answer.type === 'chunks' && read.answer.type === 'chunks') {
        const hex = (it: typeof answer): string[] =>
          it.chunks.map(({ index: at, data }) => `${at} ${Buffer.from(data).toString('hex')}`)
        expect(hex(read.answer)).toEqual(hex(answer))
      } else if (answer.type === 'directories' && read.answer.type === 'directories') {
        const hex = (it: typeof answer): string[] =>
          it.encoded.map((encoded) => Buffer.from(encoded).toString('hex'))
        expect(hex(read.answer)).toEqual(hex(answer))
      } else if (answer.type === 'layout' && read.answer.type === 'layout') {
        const plain = ({ outboard, ...rest }: typeof answer) => ({
          ...rest,
          outboard: outboard === undefined ? 'none' : Array.from(outboard),
        })
        expect(shown(plain(read.answer))).toBe(shown(plain(answer)))
      } else {
        expect(shown(read.answer)).toBe(shown(answer))
      }
    }),
  )
})

test('the data of large chunks goes out from where it lies', () => {
  const data = noise(100_000)
  const answer: Answer = { type: 'chunks', chunks: [{ index: 3, data }] }
  expect(encodeResponse(1, answer).some((piece) => piece === data)).toBe(true)
})

test('many small chunks go out in few pieces', () => {
  const chunks = Array.from({ length: 1000 }, (_, at) => ({ index: at, data: noise(50, at) }))
  const pieces = encodeResponse(1, { type: 'chunks', chunks })
  expect(pieces.length).toBeLessThan(10)
  const read = decodeResponse(Buffer.concat(pieces)).answer as Extract<Answer, { type: 'chunks' }>
  for (const [at, { data }] of read.chunks.entries()) expect(noise(50, at).equals(data)).toBe(true)
})

test('bytes are a message or an error, whatever they are', () => {
  const attempt = (work: () => unknown): void => {
    try {
      work()
    } catch (error) {
      expect(error).toBeInstanceOf(Error)
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (frame) => {
      attempt(() => decodeRequest(frame))
      attempt(() => decodeResponse(frame))
    }),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(anyAnswer, fc.nat(), fc.nat(255), (answer, at, byte) => {
      const frame = Buffer.concat(encodeResponse(1, answer))
      frame[at % frame.length] = byte
      attempt(() => decodeResponse(frame))
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['no things', encodeRequest(1, { type: 'chunks', digests: [] })],
  ['too many things', encodeRequest(1, { type: 'chunks', digests: manyDigests(WANTS_MAX + 1) })],
  ['a digest that is none', Uint8Array.from([0x2a, 3, 0x0a, 1, 7])],
  ['a hash part that is none', Uint8Array.from([0x12, 3, 0x0a, 1, 7])],
])('a request for %s is refused', (_, frame) => {
  expect(() => decodeRequest(frame)).toThrow()
})

test('the largest request fits in the frame that a server takes', () => {
  const want: Want = { type: 'chunks', digests: manyDigests(WANTS_MAX) }
  expect(encodeRequest(0xffffffff, want).length).toBeLessThan(REQUEST_FRAME_BYTES_MAX)
})

function manyDigests(count: number): Digest[] {
  return Array.from({ length: count }, (_, i) => Digest.of(noise(32, i)))
}
