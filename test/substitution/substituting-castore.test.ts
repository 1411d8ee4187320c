import { expect, test } from 'vitest'
import type { BlobReader } from '../../src/castore/blob-store.ts'
import type { Castore } from '../../src/castore/castore.ts'
import { Directory } from '../../src/castore/model/directory.ts'
import { DirectoryNode } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { utf8Bytes } from '../../src/foundation/bytes.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import type { ContentSource } from '../../src/substitution/content-source.ts'
import { MISS_MS } from '../../src/substitution/miss-memory.ts'
import { SubstitutingCastore } from '../../src/substitution/substituting-castore.ts'
import { blobStoreContract } from '../contracts/blob-store-contract.ts'
import { directoryStoreContract } from '../contracts/directory-store-contract.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { manualClock } from '../foundation/manual-clock.ts'

const LARGE = noise(1_000_000, 'large')
const SMALL = noise(1000, 'small')
const LEAF = Directory.of([])
const PARENT = Directory.of([
  { name: utf8Bytes('leaf'), node: new DirectoryNode(LEAF.digest, LEAF.size) },
])

/** Another node's castore, with a count of what was asked of it. */
class Neighbour implements ContentSource {
  readonly name = 'neighbour'
  readonly castore = freshCastore()
  asked = 0
  fails = false

  async fetchBlob(digest: Digest, into: Castore): Promise<boolean> {
    this.asked++
    if (this.fails) throw new Error('out of order')
    const reader = await this.castore.blobs.open(digest, call)
    if (reader === undefined) return false
    const writer = into.blobs.create()
    for await (const piece of reader.read(0, call)) await writer.write(piece, call)
    await writer.commit(call)
    return true
  }

  async openBlob(digest: Digest): Promise<BlobReader | undefined> {
    return await this.castore.blobs.open(digest, call)
  }

  async fetchDirectories(root: Digest, into: Castore): Promise<boolean> {
    this.asked++
    const directories = await collect(this.castore.directories.closure(root, call))
    await into.directories.put(directories.toReversed(), call)
    return directories.length > 0
  }
}

async function world(clock = systemClock) {
  const near = freshCastore()
  const far = new Neighbour()
  await far.castore.blobs.putSmall([SMALL], call)
  const writer = far.castore.blobs.create()
  await writer.write(LARGE, call)
  const large = await writer.commit(call)
  await far.castore.directories.put([LEAF, PARENT], call)
  return { near, far, large, castore: new SubstitutingCastore({ near, far, clock }) }
}

test('a blob that is not held is fetched, kept, and not asked for again', async () => {
  const { near, far, large, castore } = await world()
  expect(await near.blobs.open(large, call)).toBeUndefined()
  for (let i = 0; i < 2; i++) {
    const reader = await castore.blobs.open(large, call)
    expect((await allBytes(reader!.read(0, call))).equals(LARGE)).toBe(true)
  }
  expect(await near.blobs.open(large, call)).toBeDefined()
  expect(far.asked).toBe(1)
})

test('whoever is told that a blob is there can rely on it', async () => {
  const { near, large, castore } = await world()
  const [layout] = await castore.blobs.layouts([large], call)
  expect(layout!.reduce((sum, chunk) => sum + chunk.size, 0)).toBe(LARGE.length)
  expect((await near.blobs.layouts([large], call))[0]).toEqual(layout)
})

test('of many, what is held and what is fetched come in the order asked', async () => {
  const { near, castore } = await world()
  const held = noise(500, 'held')
  await near.blobs.putSmall([held], call)
  const digests = [SMALL, noise(1, 'nobody'), held].map((bytes) => Digest.ofContent(bytes))
  const chunks = await castore.blobs.readChunks(digests, call)
  const said = chunks.map((bytes) => bytes && Digest.ofContent(bytes).hex)
  expect(said).toEqual([digests[0]!.hex, undefined, digests[2]!.hex])
  expect(await castore.blobs.chunkSizes(digests, call)).toEqual([1000, undefined, 500])
})

test('Directories that are not held are fetched with all below them', async () => {
  const { near, castore } = await world()
  const closure = await collect(castore.directories.closure(PARENT.digest, call))
  expect(closure.map((it) => it.digest.hex)).toEqual([PARENT.digest.hex, LEAF.digest.hex])
  expect(await near.directories.get(LEAF.digest, call)).toBeDefined()
  expect((await castore.directories.get(PARENT.digest, call))?.size).toBe(PARENT.size)
})

test('what nobody has is not asked for again, for a while or until somebody comes', async () => {
  const clock = manualClock()
  const { far, castore } = await world(clock)
  const absent = Digest.ofContent(noise(3, 'absent'))
  const ask = async (): Promise<void> => {
    expect(await castore.blobs.open(absent, call)).toBeUndefined()
    expect(await castore.directories.get(absent, call)).toBeUndefined()
  }
  await ask()
  await ask()
  expect(far.asked).toBe(2)
  castore.forgetMisses()
  await ask()
  expect(far.asked).toBe(4)
  await clock.pass(MISS_MS)
  await ask()
  expect(far.asked).toBe(6)
})

test('those who want one blob at the same time share its fetch', async () => {
  const { far, large, castore } = await world()
  await Promise.all(Array.from({ length: 10 }, () => castore.blobs.layouts([large], call)))
  expect(far.asked).toBe(1)
})

test('a failure to find out is told, and no miss', async () => {
  const { far, large, castore } = await world()
  far.fails = true
  await expect(castore.blobs.open(large, call)).rejects.toThrow('out of order')
  far.fails = false
  expect(await castore.blobs.open(large, call)).toBeDefined()
})

const alone = async (): Promise<SubstitutingCastore & AsyncDisposable> => {
  const components = { near: freshCastore(), far: new Neighbour(), clock: systemClock }
  return Object.assign(new SubstitutingCastore(components), {
    [Symbol.asyncDispose]: async () => undefined,
  })
}
blobStoreContract('a castore with nobody around', alone)
directoryStoreContract('a castore with nobody around', alone)

function freshCastore(): Castore {
  return recordCastore({ records: new MemoryRecordStore() })
}
