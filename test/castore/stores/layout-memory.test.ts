import { expect, test } from 'vitest'
import type { ChunkRef } from '../../../src/castore/blob-store.ts'
import { LayoutMemory, REMEMBERED_CHUNKS_MAX } from '../../../src/castore/stores/layout-memory.ts'
import { RecordBlobStore } from '../../../src/castore/stores/record-blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { call, noise } from '../../fixtures/content.ts'
import { ForgetfulRecordStore } from '../../gateway/test-gateway.ts'

const digestOf = (seed: number | string): Digest => Digest.of(noise(32, seed))

function layoutOf(chunks: number): ChunkRef[] {
  return Array.from({ length: chunks }, () => ({ digest: digestOf('chunk'), size: 1 }))
}

test('long lists are remembered, those that were wanted last', () => {
  const memory = new LayoutMemory()
  const long = { layout: layoutOf(REMEMBERED_CHUNKS_MAX / 4), recordBytes: 1 }
  for (let i = 0; i < 4; i++) memory.put(digestOf(i), long)
  memory.get(digestOf(0))
  memory.put(digestOf(4), long)
  const known = [0, 1, 2, 3, 4].map((i) => memory.get(digestOf(i)) !== undefined)
  expect(known).toEqual([true, false, true, true, true])
  memory.put(digestOf('short'), { layout: layoutOf(2), recordBytes: 1 })
  memory.put(digestOf('endless'), { layout: layoutOf(REMEMBERED_CHUNKS_MAX + 1), recordBytes: 1 })
  expect(memory.get(digestOf('short'))).toBeUndefined()
  expect(memory.get(digestOf('endless'))).toBeUndefined()
})

test('a list is told only while it is held, remembered or not', async () => {
  const records = new ForgetfulRecordStore()
  const blobs = new RecordBlobStore({ records })
  const contents = Array.from({ length: 300 }, (_, i) => noise(100, i))
  await blobs.putSmall(contents, call)
  const layout = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), size: 100 }))
  const digest = Digest.ofContent(Buffer.concat(contents))
  await blobs.assemble(digest, layout, call)
  const names = layout.map((chunk) => chunk.digest.hex)
  const told = async (...digests: Digest[]) =>
    (await blobs.layouts(digests, call)).map((it) => it?.map((chunk) => chunk.digest.hex))
  for (let i = 0; i < 2; i++) expect(await told(digest)).toEqual([names])
  const absent = digestOf('absent')
  expect(await told(absent, digest, absent)).toEqual([undefined, names, undefined])
  records.forget('layout')
  expect(await told(digest)).toEqual([undefined])
  records.found()
  expect(await told(digest)).toEqual([names])
})
