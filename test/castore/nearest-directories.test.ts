import { expect, test } from 'vitest'
import type { DirectoryStore } from '../../src/castore/directory-store.ts'
import { Directory } from '../../src/castore/model/directory.ts'
import { DirectoryNode, FileNode } from '../../src/castore/model/node.ts'
import { NearestDirectories } from '../../src/castore/nearest-directories.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { call, collect } from '../fixtures/content.ts'

const leaf = (name: string): Directory =>
  Directory.of([
    { name: Buffer.from(name), node: new FileNode(Digest.ofContent(Buffer.from(name)), 1, false) },
  ])

function above(...children: readonly Directory[]): Directory {
  const node = ({ digest, size }: Directory) => new DirectoryNode(digest, size)
  return Directory.of(children.map((it, i) => ({ name: Buffer.from(`${i}`), node: node(it) })))
}

async function storeOf(...directories: readonly Directory[]): Promise<DirectoryStore> {
  const { directories: store } = recordCastore({ records: new MemoryRecordStore() })
  await store.put(directories, call)
  return store
}

const [a, b, c] = [leaf('a'), leaf('b'), leaf('c')]
const middle = above(a, b)
const other = above(b, c)
const root = above(middle, other, a)
const ALL = [a, b, c, middle, other, root]

/** What the near store is spared: which Directories came from the far one, in which order all. */
async function walked(near: readonly Directory[], far: readonly Directory[] = ALL) {
  let fromFar = 0
  const onFar = (): void => {
    fromFar++
  }
  const stores = { near: await storeOf(...near), far: await storeOf(...far) }
  const found = await collect(new NearestDirectories(stores, { onFar }).closure(root.digest, call))
  return { fromFar, found }
}

test.each([
  ['nothing', [], 6],
  ['all', ALL, 0],
  ['a leaf', [a], 5],
  ['a branch', [a, b, middle], 3],
  ['both branches', [a, b, c, middle, other], 1],
])('where the near store has %s, the others come from the far one', async (_, near, fromFar) => {
  const it = await walked(near)
  expect(new Set(it.found.map(({ digest }) => digest.hex))).toEqual(
    new Set(ALL.map(({ digest }) => digest.hex)),
  )
  expect(it.found).toHaveLength(ALL.length)
  expect(it.fromFar).toBe(fromFar)
  const met = new Set([root.digest.hex])
  for (const { digest, entries } of it.found) {
    expect(met.has(digest.hex), 'a child comes after something that refers to it').toBe(true)
    for (const { node } of entries) if (node.type === 'directory') met.add(node.digest.hex)
  }
})

test('a root that neither has is nothing, and a child that neither has is an error', async () => {
  expect((await walked([], [a])).found).toEqual([])
  const near = await storeOf(a)
  const whole = await storeOf(...ALL)
  const far = {
    closure: whole.closure.bind(whole),
    get: async (digest: Digest) =>
      digest.equals(other.digest) ? undefined : whole.get(digest, call),
  }
  const walk = new NearestDirectories({ near, far }).closure(root.digest, call)
  await expect(collect(walk)).rejects.toThrow(`directory ${other.digest} is missing`)
})
