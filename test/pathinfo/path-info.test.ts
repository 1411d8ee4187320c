import fc from 'fast-check'
import { expect, test } from 'vitest'
import { REFERENCES_MAX, SIGNATURES_MAX } from '../../src/pathinfo/path-facts.ts'
import type { PathInfo, PathInfoFields } from '../../src/pathinfo/path-info.ts'
import {
  decodePathInfo,
  encodePathInfo,
  fromWireSigned,
  toWireSigned,
} from '../../src/pathinfo/path-info-codec.ts'
import { PathInfoError } from '../../src/pathinfo/path-info-error.ts'
import { claimIdentity, contentIdentity } from '../../src/pathinfo/root-fingerprint.ts'
import { anyPathInfo, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'

const signature = (i: number) => ({ name: `key-${i}`, data: noise(64, i) })

function faultOf(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof PathInfoError ? error.fault.code : error
  }
}

test('references are sorted, and each is there once', () => {
  const [a, b] = [pathNamed('a'), pathNamed('b')]
  const [first, second] = a.baseName < b.baseName ? [a, b] : [b, a]
  const { references } = pathInfoOf('x', { references: [second, first, second] })
  expect(references).toEqual([first, second])
})

test('signatures are there once, and add up', () => {
  const info = pathInfoOf('x', { signatures: [signature(1), signature(1)] })
  expect(info.signatures).toEqual([signature(1)])
  const more = info.withSignatures([signature(1), signature(2)], [signature(3)])
  expect(more.signatures).toEqual([signature(1), signature(2)])
  expect(more.rootSignatures).toEqual([signature(3)])
})

test.each<[string, Partial<PathInfoFields>]>([
  ['an empty NAR', { narSize: 0 }],
  ['half a byte of NAR', { narSize: 1.5 }],
  ['a NAR beyond counting', { narSize: 2 ** 53 }],
  ['a short NAR hash', { narSha256: noise(31) }],
  [
    'too many signatures',
    { signatures: Array.from({ length: SIGNATURES_MAX + 1 }, (_, i) => signature(i)) },
  ],
  ['too many references', { references: new Array(REFERENCES_MAX + 1).fill(pathNamed('a')) }],
])('%s is refused', (_, fields) => {
  expect(faultOf(() => pathInfoOf('x', fields))).toBe('bad-path-info')
})

test('what is written is read back the same', () => {
  fc.assert(
    fc.property(anyPathInfo, (pathInfo) => {
      const read = decodePathInfo(encodePathInfo(pathInfo))
      expect(read.storePath.toString()).toBe(pathInfo.storePath.toString())
      expect(read.narSize).toBe(pathInfo.narSize)
      expect(read.ca).toBe(pathInfo.ca)
      expect(String(read.deriver)).toBe(String(pathInfo.deriver))
      expect(read.references.map(String)).toEqual(pathInfo.references.map(String))
      expect(claimIdentity(read)).toBe(claimIdentity(pathInfo))
      expect(Buffer.from(encodePathInfo(read)).equals(encodePathInfo(pathInfo))).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('bytes are a PathInfo or an error in words, whatever they are', () => {
  const encoded = encodePathInfo(pathInfoOf('x', { signatures: [signature(1)] }))
  const decode = (bytes: Uint8Array): void => {
    try {
      decodePathInfo(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(PathInfoError)
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decode))
  fc.assert(
    fc.property(fc.nat(encoded.length - 1), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from(encoded)
      changed[at] = byte
      decode(changed)
    }),
    { numRuns: 500 },
  )
})

test('messages that contradict themselves are refused', () => {
  const message = (): ReturnType<typeof toWireSigned> =>
    toWireSigned(pathInfoOf('x', { signatures: [signature(1)] }))
  type Message = ReturnType<typeof message>
  const refused = (change: (message: Message) => void): void => {
    const changed = message()
    change(changed)
    expect(faultOf(() => fromWireSigned(changed))).toBe('bad-path-info')
  }
  expect(fromWireSigned(message())).toBeDefined()
  refused((it) => Object.assign(it, { pathInfo: undefined }))
  refused((it) => Object.assign(it, { rootSignatures: [{ name: '', data: noise(64) }] }))
  refused((it) => Object.assign(it.pathInfo!, { narinfo: undefined }))
  refused((it) => Object.assign(it.pathInfo!, { node: undefined }))
  refused((it) => Object.assign(it.pathInfo!, { references: [] }))
  refused((it) => Object.assign(it.pathInfo!, { references: [noise(20, 'another')] }))
  for (const fields of [
    { referenceNames: ['no store path'] },
    { signatures: [{ name: 'a-1', data: noise(63) }] },
    { signatures: [{ name: 'a:b', data: noise(64) }] },
    { ca: { type: 99, digest: noise(32) } },
  ]) {
    refused((it) => Object.assign(it.pathInfo!.narinfo!, fields))
  }
})

test('what is said is told apart from who signed it', () => {
  const plain = pathInfoOf('x')
  const signed = plain.withSignatures([signature(1)])
  const otherwise = plain.withSignatures([], [signature(1)])
  const identities = (of: (it: PathInfo) => string): number =>
    new Set([plain, signed, otherwise].map(of)).size
  expect(identities(contentIdentity)).toBe(1)
  expect(identities(claimIdentity)).toBe(3)
  expect(contentIdentity(pathInfoOf('x', { narSize: 121 }))).not.toBe(contentIdentity(plain))
})
