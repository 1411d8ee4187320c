import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
import { Directory } from '../../src/castore/model/directory.ts'
import { DirectoryNode, FileNode, SymlinkNode } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import { NarError } from '../../src/nar/nar-error.ts'
import { narSizeOf } from '../../src/nar/nar-size.ts'
import { renderNar } from '../../src/nar/render-nar.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { DIRECTORIES, directoryOf, nodeOf } from '../fixtures/directories.ts'
import {
  anyTree,
  COMPLICATED,
  directory,
  file,
  inPieces,
  narOf,
  SMALL,
  symlink,
  type Tree,
} from './trees.ts'

const MIB = 1024 * 1024

function memoryCastore(): Castore {
  return recordCastore({ records: new MemoryRecordStore() })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Takes a tree's NAR in. */
async function ingest(tree: Tree, into = memoryCastore(), lengths = [65_536]) {
  const nar = narOf(tree)
  const ingested = await ingestNar(inPieces(nar, lengths), into, call)
  return { nar, castore: into, ...ingested }
}

/** A tree of large, middling and many small files. */
function mixedTree(): Tree {
  const entries: Record<string, Tree> = {}
  for (let i = 0; i < 1500; i++) entries[`small ${i}`] = file(noise((i * 97) % 5000, i))
  return directory({
    large: file(noise(3 * MIB + 5, 'large'), true),
    many: directory(entries),
    middling: file(noise(128 * 1024, 'at the limit')),
    'middling.1': file(noise(128 * 1024 + 1, 'beyond the limit')),
    'middling.2': file(noise(300_001, 'two chunks')),
    zeros: file(new Uint8Array(2 * MIB)),
  })
}

describe('known answers', () => {
  test.each<[string, Tree, number, string]>([
    [
      'a symlink',
      symlink('/nix/store/somewhereelse'),
      136,
      '097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1',
    ],
    [
      'a file',
      file('Hello World!'),
      128,
      '03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040',
    ],
    [
      'a tree',
      COMPLICATED,
      840,
      'ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a',
    ],
    [
      'an empty directory',
      directory({}),
      96,
      'a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a',
    ],
    [
      'a file of one byte',
      file(Uint8Array.of(1)),
      120,
      '730850a811259dbf3a68dc2ee87a79aa6cae9f71375edf396f9d7a91fbe9134d',
    ],
  ])('%s', async (_, tree, narSize, narSha256) => {
    const { nar, castore, ...ingested } = await ingest(tree)
    expect(nar.length).toBe(narSize)
    expect(sha256(nar)).toBe(narSha256)
    expect(ingested.narSize).toBe(narSize)
    expect(hex(ingested.narSha256)).toBe(narSha256)
    expect(await allBytes(renderNar(ingested.node, castore, call))).toEqual(nar)
    expect(await narSizeOf(ingested.node, castore.directories, call)).toBe(narSize)
    const measured = await measureNar(ingested.node, castore, call)
    expect(measured).toEqual({ narSize, narSha256: ingested.narSha256 })
  })

  test('the tree is the Directory that tvix makes of it', async () => {
    const { node } = await ingest(COMPLICATED)
    expect(node).toEqual(nodeOf(DIRECTORIES.COMPLICATED))
  })

  test('a file is the blob of its content', async () => {
    const { node } = await ingest(file('Hello World!', true))
    expect(node).toEqual(new FileNode(Digest.ofContent(Buffer.from('Hello World!')), 12, true))
  })
})

describe('a NAR that was taken in', () => {
  test('is rendered as it came, whatever the tree and the pieces', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(anyTree(2000), lengths, async (tree, cuts) => {
        const { nar, castore, node, narSize, narSha256 } = await ingest(tree, undefined, cuts)
        expect((await allBytes(renderNar(node, castore, call))).equals(nar)).toBe(true)
        expect(narSize).toBe(nar.length)
        expect(hex(narSha256)).toBe(sha256(nar))
        expect(await narSizeOf(node, castore.directories, call)).toBe(nar.length)
      }),
    )
  })

  test('with large and many small files is rendered as it came', async () => {
    for (const lengths of [[65_536], [1_000_003], [16_777_216]]) {
      const { nar, castore, node } = await ingest(mixedTree(), undefined, lengths)
      const pieces = await collect(renderNar(node, castore, call))
      expect(Buffer.concat(pieces).equals(nar)).toBe(true)
      expect(pieces.length).toBeLessThan(100)
    }
  })

  test('can be rendered from any byte on', async () => {
    const { nar, castore, node } = await ingest(SMALL)
    for (let offset = 0; offset <= nar.length + 1; offset++) {
      const rendered = await allBytes(renderNar(node, castore, call, { offset }))
      expect(rendered.equals(nar.subarray(offset))).toBe(true)
    }
  })

  test('can be rendered in any range', async () => {
    const { nar, castore, node } = await ingest(mixedTree())
    const range = fc.tuple(fc.nat(nar.length + 10), fc.oneof(fc.nat(100), fc.nat(nar.length)))
    await fc.assert(
      fc.asyncProperty(range, async ([offset, length]) => {
        const rendered = await allBytes(renderNar(node, castore, call, { offset, length }))
        expect(rendered.equals(nar.subarray(offset, offset + length))).toBe(true)
      }),
    )
  })

  test('is not read where it is not wanted', async () => {
    const { nar, castore, node } = await ingest(mixedTree())
    let chunks = 0
    const blobs = Object.create(castore.blobs) as typeof castore.blobs
    blobs.layouts = (digests, it) => castore.blobs.layouts(digests, it)
    blobs.readChunks = (digests, it) => {
      chunks += digests.length
      return castore.blobs.readChunks(digests, it)
    }
    const from = { blobs, directories: castore.directories }
    const init = { offset: nar.length - MIB }
    await collect(renderNar(node, from, call, init))
    expect(chunks).toBeLessThan(6)
    await collect(renderNar(node, from, call, { length: 100 }))
    expect(chunks).toBeLessThan(6)
  })

  test('a range that is none is refused', async () => {
    const { castore, node } = await ingest(SMALL)
    for (const init of [{ offset: -1 }, { offset: 0.5 }, { length: -1 }, { length: Number.NaN }]) {
      await expect(collect(renderNar(node, castore, call, init))).rejects.toThrow(RangeError)
    }
  })
})

describe('taking a NAR in', () => {
  test('a NAR that ends early is an error', async () => {
    const nar = narOf(SMALL)
    for (let length = 0; length < nar.length; length += 5) {
      const taken = ingestNar(inPieces(nar.subarray(0, length), [50]), memoryCastore(), call)
      await expect(taken).rejects.toMatchObject({ fault: { code: 'truncated', offset: length } })
    }
  })

  test('a NAR beyond the limit is refused', async () => {
    const nar = narOf(SMALL)
    const init = { narBytesMax: nar.length - 1 }
    const taken = ingestNar(inPieces(nar, [100]), memoryCastore(), call, init)
    await expect(taken).rejects.toMatchObject({ fault: { code: 'too-large' } })
    await ingestNar(inPieces(nar, [100]), memoryCastore(), call, { narBytesMax: nar.length })
  })

  test('an aborted call ends it', async () => {
    const abort = new AbortController()
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield narOf(file(new Uint8Array(1000))).subarray(0, 500)
      abort.abort(new Error('enough'))
      for (;;) yield new Uint8Array(10)
    }
    const taken = ingestNar(endless(), memoryCastore(), { signal: abort.signal })
    await expect(taken).rejects.toThrow('enough')
  })

  test('the source is not asked for more while the store is behind', async () => {
    const castore = memoryCastore()
    const storing = Promise.withResolvers<void>()
    const blobs = Object.create(castore.blobs) as typeof castore.blobs
    blobs.putSmall = async (contents, it) => {
      await storing.promise
      return await castore.blobs.putSmall(contents, it)
    }
    blobs.create = () => castore.blobs.create()
    const entries: Record<string, Tree> = {}
    for (let i = 0; i < 600; i++) entries[`${i}`.padStart(4, '0')] = file(noise(100_000, i))
    const nar = narOf(directory(entries))
    let given = 0
    async function* source(): AsyncGenerator<Uint8Array> {
      for await (const piece of inPieces(nar, [65_536])) {
        given += piece.length
        yield piece
      }
    }
    const taken = ingestNar(source(), { ...castore, blobs }, call)
    while (given < 8 * MIB) await new Promise(setImmediate)
    for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    expect(given).toBeLessThan(20 * MIB)
    storing.resolve()
    expect((await taken).narSize).toBe(nar.length)
  })

  test('an error of the store ends it, and the file being written is abandoned', async () => {
    const castore = memoryCastore()
    let abandoned = 0
    const blobs = Object.create(castore.blobs) as typeof castore.blobs
    blobs.create = () => ({
      write: () => Promise.reject(new Error('disk full')),
      commit: () => Promise.reject(new Error('disk full')),
      [Symbol.asyncDispose]: async () => {
        abandoned++
      },
    })
    const nar = narOf(file(noise(MIB)))
    const taken = ingestNar(inPieces(nar, [65_536]), { ...castore, blobs }, call)
    await expect(taken).rejects.toThrow('disk full')
    expect(abandoned).toBe(1)
  })
})

describe('rendering breaks, and never ends cleanly,', () => {
  const absent = Digest.ofContent(Buffer.from('nobody has this'))

  test.each<[string, number]>([
    ['a small blob', 10],
    ['a large blob', MIB],
  ])('where %s is missing', async (_, size) => {
    const node = new FileNode(absent, size, false)
    await expect(collect(renderNar(node, memoryCastore(), call))).rejects.toMatchObject({
      fault: { code: 'blob-missing', digest: absent.hex },
    })
  })

  test('where a chunk of a blob is missing', async () => {
    const { castore, node } = await ingest(file(noise(MIB)))
    const blobs = Object.create(castore.blobs) as typeof castore.blobs
    blobs.layouts = (digests, it) => castore.blobs.layouts(digests, it)
    blobs.readChunks = async (digests, it) => {
      const chunks = await castore.blobs.readChunks(digests, it)
      return chunks.map((bytes, i) => (i === chunks.length - 1 ? undefined : bytes))
    }
    const from = { blobs, directories: castore.directories }
    await expect(collect(renderNar(node, from, call))).rejects.toBeInstanceOf(NarError)
  })

  test.each([
    ['a small blob is shorter', 5, 6],
    ['a small blob is longer', 6, 5],
    ['a small blob is said to be empty', 6, 0],
    ['a small blob is said to be large', 6, MIB],
    ['a large blob is said to be small', MIB, 6],
    ['a large blob is shorter', MIB, MIB + 1],
    ['a large blob is longer', MIB + 1, MIB],
  ])('where %s than its node says', async (_, size, said) => {
    const { castore, node } = await ingest(file(noise(size)))
    const wrong = new FileNode((node as FileNode).digest, said, false)
    await expect(collect(renderNar(wrong, castore, call))).rejects.toMatchObject({
      fault: { code: 'blob-size' },
    })
  })

  test('where a Directory is missing', async () => {
    const node = new DirectoryNode(absent, 0)
    const castore = memoryCastore()
    const fault = { code: 'directory-missing', digest: absent.hex }
    await expect(collect(renderNar(node, castore, call))).rejects.toMatchObject({ fault })
    await expect(narSizeOf(node, castore.directories, call)).rejects.toMatchObject({ fault })
  })

  test('where the tree is deeper than Nix takes, however it is measured', async () => {
    const castore = memoryCastore()
    let node: DirectoryNode | SymlinkNode = new SymlinkNode(Buffer.from('t'))
    for (let level = 1; level < 64; level++) {
      const parent = directoryOf({ a: node })
      await castore.directories.put([parent], call)
      node = nodeOf(parent)
    }
    const nar = await allBytes(renderNar(node, castore, call))
    expect(await narSizeOf(node, castore.directories, call)).toBe(nar.length)
    const tooDeep = directoryOf({ 0: new SymlinkNode(Buffer.from('t')), a: node })
    await castore.directories.put([tooDeep], call)
    const fault = { code: 'too-deep' }
    const root = nodeOf(tooDeep)
    await expect(collect(renderNar(root, castore, call))).rejects.toMatchObject({ fault })
    await expect(narSizeOf(root, castore.directories, call)).rejects.toMatchObject({ fault })
  })

  test('where its size is beyond all numbers, which arithmetic tells at once', async () => {
    const castore = memoryCastore()
    let directory = Directory.of([])
    await castore.directories.put([directory], call)
    for (let level = 1; level < 64; level++) {
      directory = directoryOf({ a: nodeOf(directory), b: nodeOf(directory) })
      if (directory.size > 2 ** 51) break
      await castore.directories.put([directory], call)
    }
    const root = nodeOf(directory)
    await castore.directories.put([directory], call)
    await expect(narSizeOf(root, castore.directories, call)).rejects.toMatchObject({
      fault: { code: 'too-large' },
    })
  })
})

test('a small blob that somebody cut into chunks is rendered all the same', async () => {
  const castore = memoryCastore()
  const content = noise(1000)
  const parts = [content.subarray(0, 400), content.subarray(400)]
  const chunks = parts.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await castore.blobs.putChunks(chunks, call)
  const layout = chunks.map(({ digest, bytes }) => ({ digest, size: bytes.length }))
  const digest = Digest.ofContent(content)
  await castore.blobs.assemble(digest, layout, call)
  const rendered = await allBytes(renderNar(new FileNode(digest, 1000, false), castore, call))
  expect(rendered.equals(narOf(file(content)))).toBe(true)
})

test('an aborted call ends a rendering', async () => {
  const { castore, node } = await ingest(mixedTree())
  const abort = new AbortController()
  const rendering = renderNar(node, castore, { signal: abort.signal })
  await rendering.next()
  abort.abort(new Error('enough'))
  await expect(collect(rendering)).rejects.toThrow('enough')
})

test('a consumer that leaves early ends what was begun', async () => {
  const { castore, node } = await ingest(mixedTree())
  for await (const _piece of renderNar(node, castore, call)) break
})
