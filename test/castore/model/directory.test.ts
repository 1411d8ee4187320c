import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import { Directory, type Entry } from '../../../src/castore/model/directory.ts'
import { decodeRoot, encodeRoot } from '../../../src/castore/model/directory-codec.ts'
import { DirectoryNode, FileNode, SymlinkNode } from '../../../src/castore/model/node.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import * as wire from '../../../src/generated/tvix/castore/v1/castore.ts'
import { DIRECTORIES, directoryOf, nodeOf } from '../../fixtures/directories.ts'

const KNOWN = {
  A: 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
  B: '8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc',
  C: '78eb200ae0cc95d4ea954655fbcf91e285013a261310e161927f2401d2bca803',
  D: '99922a5c1801805287a647af73bca0ed7352a5f7f373e54992795bcc4a235213',
  E: 'f71882b0f23c198c0fde9af0fb49d9cb797ce1db3a645fcf2760e955ab605d3e',
  KEEP: '8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e',
  COMPLICATED: '3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a',
} as const

const digest = Digest.ofContent(Buffer.from('x'))
const file = new FileNode(digest, 1, false)

test.each(Object.entries(KNOWN))('Directory %s has its known digest', (name, hex) => {
  const directory = DIRECTORIES[name as keyof typeof DIRECTORIES]
  expect(directory.digest.hex).toBe(hex)
  expect(Directory.decode(directory.encoded).digest.hex).toBe(hex)
})

test('the root nodes in URLs are the known ones', () => {
  const url = (encoded: Uint8Array): string => Buffer.from(encoded).toString('base64url')
  const target = Buffer.from('/nix/store/somewhereelse')
  expect(url(encodeRoot(new SymlinkNode(target)))).toBe('GhoSGC9uaXgvc3RvcmUvc29tZXdoZXJlZWxzZQ')
  const hello = new FileNode(Digest.ofContent(Buffer.from('Hello World!')), 12, false)
  expect(url(encodeRoot(hello))).toBe('EiQSIFyngVrctITpoTbBHv5pwdUwF21Um10Y0DjrUoC0s0cMGAw')
  const complicated = encodeRoot(nodeOf(DIRECTORIES.COMPLICATED))
  expect(url(complicated)).toBe('CiQSID-VGhWv1Yb7MSHvTRPVgugRzg5afyHASX_YdJDp4jVaGAQ')
  expect(encodeRoot(decodeRoot(complicated))).toEqual(complicated)
})

describe('what breaks a rule is no Directory', () => {
  const names: [string, Uint8Array][] = [
    ['empty', Buffer.from('')],
    ['with a slash', Buffer.from('a/b')],
    ['with a NUL', Buffer.from('a\0b')],
    ['dot', Buffer.from('.')],
    ['dot dot', Buffer.from('..')],
    ['too long', Buffer.alloc(256, 'a')],
  ]
  test.each(names)('a name that is %s', (_, name) => {
    expect(() => Directory.of([{ name, node: file }])).toThrow(CastoreError)
    const node = { name, digest: digest.bytes, size: 1, executable: false }
    const encoded = wire.Directory.encode({ directories: [], files: [node], symlinks: [] }).finish()
    expect(() => Directory.decode(encoded)).toThrow(CastoreError)
  })

  test('a name twice, in one list or in two', () => {
    const a = Buffer.from('a')
    const link = new SymlinkNode(Buffer.from('t'))
    expect(() =>
      Directory.of([
        { name: a, node: file },
        { name: a, node: file },
      ]),
    ).toThrow(/once/)
    expect(() =>
      Directory.of([
        { name: a, node: file },
        { name: a, node: link },
      ]),
    ).toThrow(/once/)
    const files = [{ name: a, digest: digest.bytes, size: 1, executable: false }]
    const symlinks = [{ name: a, target: Buffer.from('t') }]
    const encoded = wire.Directory.encode({ directories: [], files, symlinks }).finish()
    expect(() => Directory.decode(encoded)).toThrow(/once/)
  })

  test('lists out of order', () => {
    const files = ['b', 'a'].map((name) => ({
      name: Buffer.from(name),
      digest: digest.bytes,
      size: 1,
      executable: false,
    }))
    const encoded = wire.Directory.encode({ directories: [], files, symlinks: [] }).finish()
    expect(() => Directory.decode(encoded)).toThrow(/sorted/)
  })

  test('digests, targets and sizes that are none', () => {
    const short = { name: Buffer.from('a'), digest: Buffer.alloc(31), size: 1, executable: false }
    const encoded = wire.Directory.encode({
      directories: [],
      files: [short],
      symlinks: [],
    }).finish()
    expect(() => Directory.decode(encoded)).toThrow(/32 bytes/)
    expect(() => new SymlinkNode(Buffer.alloc(0))).toThrow(CastoreError)
    expect(() => new SymlinkNode(Buffer.alloc(4096, 'a'))).toThrow(CastoreError)
    expect(() => new SymlinkNode(Buffer.from('a\0'))).toThrow(CastoreError)
    expect(() => new FileNode(digest, -1, false)).toThrow(CastoreError)
    expect(() => new FileNode(digest, 2 ** 53, false)).toThrow(CastoreError)
  })

  test('sizes that add up to more than a size can be', () => {
    const big = new DirectoryNode(digest, Number.MAX_SAFE_INTEGER - 2)
    expect(() => directoryOf({ a: big, b: big })).toThrow(/add up/)
    expect(directoryOf({ a: big, b: file }).size).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('an encoding that is not the canonical one', () => {
    const { encoded } = DIRECTORIES.COMPLICATED
    const unknownField = Buffer.concat([encoded, Buffer.from([0x22, 0x01, 0x61])])
    expect(() => Directory.decode(unknownField)).toThrow(/canonical/)
    expect(() => Directory.decode(encoded.subarray(0, encoded.length - 1))).toThrow(CastoreError)
    expect(() => Directory.decode(Buffer.from([0xff, 0xff, 0xff]))).toThrow(CastoreError)
  })
})

const anyName = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .filter((name) => !name.includes(0) && !name.includes(0x2f))
  .filter((name) => !(name.every((byte) => byte === 0x2e) && name.length < 3))
const anyDigest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((it) => Digest.of(it))
const anyNode = fc.oneof(
  fc.tuple(anyDigest, fc.nat()).map(([it, size]) => new DirectoryNode(it, size)),
  fc.tuple(anyDigest, fc.nat(), fc.boolean()).map(([it, size, x]) => new FileNode(it, size, x)),
  fc
    .uint8Array({ minLength: 1, maxLength: 30 })
    .filter((target) => !target.includes(0))
    .map((target) => new SymlinkNode(target)),
)
const anyEntries = fc.uniqueArray(fc.record({ name: anyName, node: anyNode }), {
  selector: (entry) => Buffer.from(entry.name).toString('hex'),
  maxLength: 30,
})

test('any Directory reads back from its encoding, whatever order its entries came in', () => {
  fc.assert(
    fc.property(anyEntries, (entries: Entry[]) => {
      const directory = Directory.of(entries)
      const again = Directory.decode(directory.encoded)
      expect(again.digest).toEqual(directory.digest)
      expect(again.size).toBe(directory.size)
      expect(Directory.of(entries.toReversed()).digest).toEqual(directory.digest)
      for (const { name, node } of entries) expect(again.get(name)?.type).toBe(node.type)
    }),
  )
})

test('any bytes are a Directory or a CastoreError, and never more', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        expect(Buffer.from(Directory.decode(bytes).encoded)).toEqual(Buffer.from(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(CastoreError)
      }
    }),
    { numRuns: 2000 },
  )
})
