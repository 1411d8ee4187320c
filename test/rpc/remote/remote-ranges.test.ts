import { expect, test } from 'vitest'
import type { BlobStore } from '../../../src/castore/blob-store.ts'
import type { Castore } from '../../../src/castore/castore.ts'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { RemoteBlobStore } from '../../../src/rpc/remote/remote-blob-store.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { testNode } from '../test-node.ts'

const CONTENT = noise(5_000_000, 'content')
const DIGEST = Digest.ofContent(CONTENT)

/** A store that holds the blob, with a count of the bytes that are read of it. */
async function remote(lies: (castore: Castore) => object = () => ({})) {
  let bytesRead = 0
  const around = (castore: Castore): Castore => {
    const { blobs: held } = castore
    const blobs: BlobStore = {
      layouts: (digests, it) => held.layouts(digests, it),
      readChunks: (digests, it) => held.readChunks(digests, it),
      chunkSizes: (digests, it) => held.chunkSizes(digests, it),
      outboard: (digest, it) => held.outboard(digest, it),
      create: () => held.create(),
      putSmall: (contents, it) => held.putSmall(contents, it),
      putChunks: (chunks, it) => held.putChunks(chunks, it),
      assemble: (digest, layout, it) => held.assemble(digest, layout, it),
      open: async (digest: Digest) => {
        const reader = await castore.blobs.open(digest, call)
        if (reader === undefined) return undefined
        return {
          size: reader.size,
          async *read() {
            for await (const bytes of reader.read(0, call)) {
              bytesRead += bytes.length
              yield bytes
            }
          },
        }
      },
      ...lies(castore),
    }
    return { ...castore, blobs }
  }
  const node = await testNode({ around })
  await using writer = node.castore.blobs.create()
  await writer.write(CONTENT, call)
  await writer.commit(call)
  const channel = new RemoteChannel({ clock: systemClock }, { address: node.address })
  const reader = (await new RemoteBlobStore({ channel }).open(DIGEST, call))!
  return {
    ...{ reader, bytesRead: () => bytesRead },
    [Symbol.asyncDispose]: async () => {
      channel[Symbol.dispose]()
      await node[Symbol.asyncDispose]()
    },
  }
}

test('of a part only the chunks that cover it are read', async () => {
  await using it = await remote()
  const read = await allBytes(it.reader.read(2_500_000, call, 4096))
  expect(read.equals(CONTENT.subarray(2_500_000, 2_504_096))).toBe(true)
  expect(it.bytesRead()).toBeLessThanOrEqual(2 * 524_288)
  const end = await allBytes(it.reader.read(CONTENT.length - 10, call))
  expect(end.equals(CONTENT.subarray(-10))).toBe(true)
  expect(it.bytesRead()).toBeLessThanOrEqual(3 * 524_288)
})

test('where the other side has no outboard, the whole is read and hashed', async () => {
  await using it = await remote(() => ({ outboard: async () => undefined }))
  const read = await allBytes(it.reader.read(2_500_000, call, 4096))
  expect(read.equals(CONTENT.subarray(2_500_000, 2_504_096))).toBe(true)
  expect(it.bytesRead()).toBe(CONTENT.length)
})

test('a chunk list that is wrong about a part gives not a byte of it', async () => {
  await using it = await remote((castore) => ({
    layouts: async (digests: Digest[]) => {
      const [layout] = await castore.blobs.layouts(digests, call)
      return [layout?.toReversed()]
    },
  }))
  const got: Uint8Array[] = []
  const reading = async (): Promise<void> => {
    for await (const bytes of it.reader.read(100, call, 4096)) got.push(bytes)
  }
  await expect(reading()).rejects.toMatchObject({ fault: { code: 'digest-mismatch' } })
  await expect(reading()).rejects.toBeInstanceOf(CastoreError)
  expect(got).toEqual([])
})

test('an outboard that is wrong about a part gives not a byte of it', async () => {
  await using it = await remote((castore) => ({
    outboard: async (digest: Digest) => {
      const { shape, bytes } = (await castore.blobs.outboard(digest, call))!
      const wrong = Uint8Array.from(bytes)
      wrong[wrong.length >> 1]! ^= 1
      return new Outboard(digest, shape.size, wrong)
    },
  }))
  const reading = allBytes(it.reader.read(2_400_000, call, 400_000))
  await expect(reading).rejects.toMatchObject({ fault: { code: 'digest-mismatch' } })
})
