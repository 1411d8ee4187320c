import { expect, test } from 'vitest'
import { Directory } from '../../src/castore/model/directory.ts'
import { DirectoryNode } from '../../src/castore/model/node.ts'
import { utf8Bytes } from '../../src/foundation/bytes.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { MISS_MS } from '../../src/substitution/miss-memory.ts'
import { OPEN_BLOB_MS } from '../../src/substitution/open-blobs.ts'
import { SubstitutingCastore } from '../../src/substitution/substituting-castore.ts'
import { blobStoreContract } from '../contracts/blob-store-contract.ts'
import { directoryStoreContract } from '../contracts/directory-store-contract.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { memoryCastore, Neighbour } from '../fixtures/neighbour.ts'
import { manualClock } from '../foundation/manual-clock.ts'

const LARGE = noise(1_000_000, 'large')
const SMALL = noise(1000, 'small')
const LEAF = Directory.of([])
const PARENT = Directory.of([
  { name: utf8Bytes('leaf'), node: new DirectoryNode(LEAF.digest, LEAF.size) },
])

async function world(clock = systemClock) {
  const near = memoryCastore()
  const far = new Neighbour()
  await far.castore.blobs.putSmall([SMALL], call)
  const writer = far.castore.blobs.create()
  await writer.write(LARGE, call)
  const large = await writer.commit(call)
  await far.castore.directories.put([LEAF, PARENT], call)
  return { near, far, large, castore: new SubstitutingCastore({ near, far, clock }) }
}

test('of a blob that is not held, what is read is read elsewhere, and no more', async () => {
  const { near, far, large, castore } = await world()
  const reader = await castore.blobs.open(large, call)
  expect(reader!.size).toBe(LARGE.length)
  const part = await allBytes(reader!.read(500_000, call, 1000))
  expect(part.equals(LARGE.subarray(500_000, 501_000))).toBe(true)
  expect(far.bytesRead).toBe(1000)
  expect(far.wholes).toEqual([])
  expect(await near.blobs.open(large, call)).toBeUndefined()
})

test('where nobody can prove a part, the whole is fetched, kept, and not asked for again', async () => {
  const { near, far, large, castore } = await world()
  far.proves = false
  for (let i = 0; i < 2; i++) {
    const reader = await castore.blobs.open(large, call)
    expect((await allBytes(reader!.read(0, call))).equals(LARGE)).toBe(true)
  }
  expect(await near.blobs.open(large, call)).toBeDefined()
  expect([far.wholes.length, far.opened.length]).toEqual([1, 1])
})

test('a blob that is known to be one chunk is fetched as that', async () => {
  const { far, castore } = await world()
  const digest = Digest.ofContent(SMALL)
  const reader = await castore.blobs.open(digest, call, SMALL.length)
  expect((await allBytes(reader!.read(10, call, 10))).equals(SMALL.subarray(10, 20))).toBe(true)
  expect(far.opened).toEqual([])
  expect(far.wholes).toEqual([{ digest, size: SMALL.length }])
})

test('a blob stays open elsewhere for those who want it next, for a while', async () => {
  const clock = manualClock()
  const { far, large, castore } = await world(clock)
  const open = async (size?: number): Promise<void> => {
    expect((await castore.blobs.open(large, call, size))?.size).toBe(LARGE.length)
  }
  await Promise.all([open(), open(), open()])
  await clock.pass(OPEN_BLOB_MS - 1)
  await open()
  expect(far.opened).toHaveLength(1)
  await clock.pass(OPEN_BLOB_MS)
  await open()
  expect(far.opened).toHaveLength(2)
  await open(LARGE.length) // whose length is taken on trust is another
  expect(far.opened).toHaveLength(3)
})

test('a blob that can not be read any further is opened anew by the next one', async () => {
  const { far, large, castore } = await world()
  const reader = await castore.blobs.open(large, call)
  far.isGone = true
  await expect(allBytes(reader!.read(0, call))).rejects.toThrow('the neighbour has gone')
  far.isGone = false
  const again = await castore.blobs.open(large, call)
  expect((await allBytes(again!.read(0, call))).equals(LARGE)).toBe(true)
  expect(far.opened).toHaveLength(2)
  expect(far.wholes).toEqual([])
})

test('who only wants to read looks up what is held, and opens the rest', async () => {
  const { near, far, large, castore } = await world()
  const { contents } = castore
  expect(await contents.blobs.layouts([large], call)).toEqual([undefined])
  expect(await contents.blobs.readChunks([Digest.ofContent(SMALL)], call)).toEqual([undefined])
  expect(far.asked).toBe(0)
  expect((await contents.blobs.open(large, call))?.size).toBe(LARGE.length)
  await near.blobs.putSmall([SMALL], call)
  const [bytes] = await contents.blobs.readChunks([Digest.ofContent(SMALL)], call)
  expect(Buffer.from(bytes!).equals(SMALL)).toBe(true)
})

test('an outboard is told of what is here whole', async () => {
  const { near, large, castore } = await world()
  ;(await castore.blobs.outboard(large, call))!.verify()
  expect(await near.blobs.open(large, call)).toBeDefined()
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
  expect(far.asked).toBe(3)
  castore.forgetMisses()
  await ask()
  expect(far.asked).toBe(6)
  await clock.pass(MISS_MS)
  await ask()
  expect(far.asked).toBe(9)
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
  const components = { near: memoryCastore(), far: new Neighbour(), clock: systemClock }
  return Object.assign(new SubstitutingCastore(components), {
    [Symbol.asyncDispose]: async () => undefined,
  })
}
blobStoreContract('a castore with nobody around', alone)
directoryStoreContract('a castore with nobody around', alone)
