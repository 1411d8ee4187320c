import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import type { CastoreError } from '../../../src/castore/castore-error.ts'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { RecordBlobStore } from '../../../src/castore/stores/record-blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { seededRandom, shuffled } from '../../../src/foundation/random.ts'
import { BlobAssembly } from '../../../src/peers/swarm/blob-assembly.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'

class CountingBlobStore extends RecordBlobStore {
  readBack = 0

  override async readChunks(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    this.readBack += digests.length
    return await super.readChunks(digests, call)
  }
}

async function world(count: number) {
  const blobs = new CountingBlobStore({ records: new MemoryRecordStore() })
  const contents = Array.from({ length: count }, (_, i) => noise(10 + (i % 7), i % 5))
  const chunks = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await blobs.putChunks(chunks, call)
  const layout: ChunkRef[] = chunks.map(({ digest, bytes }) => ({ digest, size: bytes.length }))
  const whole = Buffer.concat(contents)
  return { blobs, contents, layout, whole, digest: Digest.ofContent(whole) }
}

test('chunks in any order make the blob, whatever room there is for early ones', async () => {
  const anyCase = [fc.integer({ min: 2, max: 40 }), fc.nat(), fc.nat(300), fc.nat(100)] as const
  await fc.assert(
    fc.asyncProperty(...anyCase, async (count, seed, room, inMemoryPercent) => {
      const { blobs, contents, layout, whole, digest } = await world(count)
      const random = seededRandom(seed)
      const earlyRoom = { bytes: room }
      const assembly = new BlobAssembly(digest, layout, earlyRoom)
      const order = shuffled([...contents.keys(), ...contents.keys()], random)
      for (const index of order) {
        const isAtHand = random.integer(100) < inMemoryPercent
        assembly.arrived(index, isAtHand ? contents[index] : undefined)
      }
      expect(assembly.isWhole).toBe(true)
      expect(assembly.bytesHere).toBe(whole.length)
      await assembly.finish(blobs, call)
      const reader = await blobs.open(digest, call)
      expect((await allBytes(reader!.read(0, call))).equals(whole)).toBe(true)
      expect(earlyRoom.bytes).toBe(room)
    }),
    { numRuns: 150 },
  )
})

test('with room for what is early, nothing is read back', async () => {
  const { blobs, contents, layout, digest } = await world(30)
  const assembly = new BlobAssembly(digest, layout)
  for (const index of [...contents.keys()].reverse()) assembly.arrived(index, contents[index])
  await assembly.finish(blobs, call)
  expect(blobs.readBack).toBe(0)
})

test('it is whole when the last chunk is here, not before', async () => {
  const { layout, digest, contents } = await world(3)
  const assembly = new BlobAssembly(digest, layout)
  assembly.arrived(2, contents[2])
  assembly.arrived(2, contents[2])
  assembly.arrived(0)
  expect(assembly.isWhole).toBe(false)
  assembly.arrived(1)
  expect(assembly.isWhole).toBe(true)
})

test('a layout that does not make the blob is found out', async () => {
  const { blobs, contents, layout, whole, digest } = await world(4)
  const assembly = new BlobAssembly(Digest.ofContent(noise(whole.length)), layout)
  for (const [index, bytes] of contents.entries()) assembly.arrived(index, bytes)
  const error = await assembly.finish(blobs, call).catch((thrown: unknown) => thrown)
  expect((error as CastoreError).fault.code).toBe('digest-mismatch')
  expect(await blobs.open(digest, call)).toBeUndefined()
})
