import { expect, test } from 'vitest'
import { encodeBlobLayout } from '../../../src/castore/blob-layout-codec.ts'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { RecordBlobStore } from '../../../src/castore/stores/record-blob-store.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { call, noise } from '../../fixtures/content.ts'

class CountingRecordStore extends MemoryRecordStore {
  chunksRead = 0

  override async get(...[kind, keys, given]: Parameters<MemoryRecordStore['get']>) {
    if (kind === 'chunk') this.chunksRead += keys.length
    return await super.get(kind, keys, given)
  }
}

/** A store with a blob of ten chunks, as it was stored before there were outboards. */
async function oldStore() {
  const records = new CountingRecordStore()
  const blobs = new RecordBlobStore({ records })
  const contents = Array.from({ length: 10 }, (_, i) => noise(150_000 + i, i))
  const chunks = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await blobs.putChunks(chunks, call)
  const digest = Digest.ofContent(Buffer.concat(contents))
  const layout = chunks.map((it) => ({ digest: it.digest, size: it.bytes.length }))
  await records.put('layout', [{ key: digest.bytes, bytes: encodeBlobLayout(layout) }], call)
  return { records, blobs, digest, layout }
}

test('a blob stored without an outboard gets one when it is first asked for, once', async () => {
  const { records, blobs, digest } = await oldStore()
  const asked = Array.from({ length: 20 }, () => blobs.outboard(digest, call))
  for (const outboard of await Promise.all(asked)) outboard!.verify()
  expect(records.chunksRead).toBe(10)
  const again = await new RecordBlobStore({ records }).outboard(digest, call)
  again!.verify()
  expect(records.chunksRead).toBe(10)
})

test('a blob whose chunks are not its own gets no outboard', async () => {
  const { records, blobs, digest, layout } = await oldStore()
  const turned = encodeBlobLayout(layout.toReversed())
  await records.put('layout', [{ key: digest.bytes, bytes: turned }], call)
  const fault = { code: 'digest-mismatch', digest: digest.hex }
  await expect(blobs.outboard(digest, call)).rejects.toMatchObject({ fault })
  expect(records.totals('outboard').records).toBe(0)
})

test('the outboard comes of taking the blob in, and no chunk is read for it', async () => {
  const records = new CountingRecordStore()
  const blobs = new RecordBlobStore({ records })
  const content = noise(5_000_000, 'taken in')
  await using writer = blobs.create()
  for (let at = 0; at < content.length; at += 99_999) {
    await writer.write(content.subarray(at, at + 99_999), call)
  }
  const digest = await writer.commit(call)
  expect(digest.hex).toBe(Digest.ofContent(content).hex)
  const outboard = await blobs.outboard(digest, call)
  outboard!.verify()
  expect(records.chunksRead).toBe(0)
  expect(records.totals('outboard')).toMatchObject({ records: 1, bytes: 305 * 64 })
})

test('what is one chunk has no outboard of its own', async () => {
  const records = new CountingRecordStore()
  const blobs = new RecordBlobStore({ records })
  // A gear hash of zeros cuts nowhere, so that only the largest size does: at its very end.
  for (const content of [noise(131_072), new Uint8Array(512 * 1024)]) {
    await using writer = blobs.create()
    await writer.write(content, call)
    const digest = await writer.commit(call)
    expect(digest.hex).toBe(Digest.ofContent(content).hex)
    const outboard = await blobs.outboard(digest, call)
    outboard!.verify()
  }
  expect(records.totals('layout').records + records.totals('outboard').records).toBe(0)
})
