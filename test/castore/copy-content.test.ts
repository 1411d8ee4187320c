import { expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
import { type CopyListener, copyContent } from '../../src/castore/copy-content.ts'
import { FileNode } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { renderNar } from '../../src/nar/render-nar.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { COMPLICATED, directory, file, inPieces, narOf, symlink, type Tree } from '../nar/trees.ts'

const LARGE = noise(3_000_000, 'large')
const TREE = directory({
  large: file(LARGE),
  again: file(LARGE),
  sub: directory({ small: file('small'), empty: file(''), link: symlink('x') }),
})

function fresh(): Castore {
  return recordCastore({ records: new MemoryRecordStore() })
}

async function held(tree: Tree, castore = fresh()) {
  const { node } = await ingestNar(inPieces(narOf(tree), [1 << 16]), castore, call)
  return { castore, node }
}

/** Counts what a copy says of itself. */
function counting() {
  const seen = { files: 0, bytes: 0, done: 0, doneBytes: 0, fetched: 0, directories: 0 }
  const listener: CopyListener = {
    onTotals: (files, bytes) => Object.assign(seen, { files, bytes }),
    onDirectory: () => {
      seen.directories++
    },
    onBytes: (bytes, fetched) => {
      seen.doneBytes += bytes
      seen.fetched += fetched
    },
    onFiles: (files) => {
      seen.done += files
    },
  }
  return { seen, listener }
}

test.each([
  ['a tree', TREE],
  ['an odd one', COMPLICATED],
  ['a file', file(LARGE)],
  ['a small file', file('small')],
  ['an empty file', file('')],
  ['a symlink', symlink('nowhere')],
])('%s is there as it was', async (_, tree) => {
  const { castore: from, node } = await held(tree)
  const into = fresh()
  const { seen, listener } = counting()
  await copyContent(node, from, into, listener, call)
  expect((await allBytes(renderNar(node, into, call))).equals(narOf(tree))).toBe(true)
  expect([seen.done, seen.doneBytes]).toEqual([seen.files, seen.bytes])
})

test('only chunks that are missing are read over there, each content once', async () => {
  const { castore: from, node } = await held(TREE)
  const changed = Buffer.from(LARGE)
  changed[2_900_000]! ^= 1
  const { castore: into } = await held(file(changed))
  const { seen, listener } = counting()
  await copyContent(node, from, into, listener, call)
  expect(seen.fetched).toBeGreaterThan(0)
  expect(seen.fetched).toBeLessThan(1_200_000)
  const again = counting()
  await copyContent(node, from, into, again.listener, call)
  expect(again.seen.fetched).toBe(0)
})

test('what is missing or of another length over there is told, and no root is put', async () => {
  const { castore: from, node } = await held(TREE)
  const nowhere = new FileNode(Digest.ofContent(Buffer.from('nowhere')), 7, false)
  const { listener } = counting()
  await expect(copyContent(nowhere, from, fresh(), listener, call)).rejects.toThrow('is missing')
  const longer = new FileNode(Digest.ofContent(LARGE), LARGE.length + 1, false)
  await expect(copyContent(longer, from, fresh(), listener, call)).rejects.toThrow('its node says')
  await expect(copyContent(node, fresh(), fresh(), listener, call)).rejects.toThrow('is missing')
})

test('a wrong chunk is found out', async () => {
  const { castore: from, node } = await held(file(LARGE))
  const lying = {
    directories: from.directories,
    blobs: Object.assign(Object.create(from.blobs), {
      layouts: (...args: Parameters<typeof from.blobs.layouts>) => from.blobs.layouts(...args),
      readChunks: async (digests: readonly Digest[]) => digests.map(() => Buffer.from('wrong')),
    }),
  }
  const { listener } = counting()
  await expect(copyContent(node, lying, fresh(), listener, call)).rejects.toThrow(/digest|hash/)
})

test('a Directory that is there on several levels goes in before all that refer to it', async () => {
  const shared = directory({ small: file('small') })
  const tree = directory({
    a: directory({ shared }),
    b: directory({ deep: directory({ shared }) }),
  })
  const { castore: from, node } = await held(tree)
  const into = fresh()
  await copyContent(node, from, into, counting().listener, call)
  expect((await allBytes(renderNar(node, into, call))).equals(narOf(tree))).toBe(true)
})

test('of another version only those Directories are asked for that are not here', async () => {
  const folder = (name: string) => directory({ [name]: file(name) })
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}`, folder(`${i}`)]))
  const version = (name: string) =>
    directory({
      all: directory({ many: directory(many), [name]: folder(name) }),
      rest: folder('x'),
    })
  const { castore: from, node } = await held(version('new'))
  const { castore: into } = await held(version('old'))
  const { seen, listener } = counting()
  await copyContent(node, from, into, listener, call)
  expect(seen.directories).toBe(3) // the root, `all` and `new`
  expect((await allBytes(renderNar(node, into, call))).equals(narOf(version('new')))).toBe(true)
  const whole = counting()
  await copyContent(node, from, fresh(), whole.listener, call)
  expect(whole.seen.directories).toBe(55)
})

test('whoever refuses the Directories is spared the blobs', async () => {
  const { castore: from, node } = await held(TREE)
  const { seen, listener } = counting()
  const onDirectories = async (): Promise<void> => {
    throw new Error('not these')
  }
  const copying = copyContent(node, from, fresh(), { ...listener, onDirectories }, call)
  await expect(copying).rejects.toThrow('not these')
  expect(seen.fetched).toBe(0)
})
