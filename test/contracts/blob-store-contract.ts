import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BlobStore } from '../../src/castore/blob-store.ts'
import { CastoreError } from '../../src/castore/castore-error.ts'
import { CHUNK_BYTES_MAX } from '../../src/castore/chunking/fast-cdc.ts'
import { provenRange } from '../../src/castore/verified/proven-range.ts'
import type { Span } from '../../src/castore/verified/tree-shape.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'

const absent = Digest.ofContent(noise(50, 'absent'))

async function put(store: BlobStore, content: Uint8Array, piece = 65_536): Promise<Digest> {
  await using writer = store.create()
  for (let at = 0; at < content.length; at += piece) {
    await writer.write(content.subarray(at, at + piece), call)
  }
  return await writer.commit(call)
}

/** What every blob store keeps to. Each scenario gets a fresh store. */
export function blobStoreContract(
  label: string,
  make: () => Promise<{ blobs: BlobStore } & AsyncDisposable>,
): void {
  test(`${label}: a missing blob is undefined, not an error`, async () => {
    await using made = await make()
    expect(await made.blobs.open(absent, call)).toBeUndefined()
    expect(await made.blobs.outboard(absent, call)).toBeUndefined()
    expect(await made.blobs.layouts([absent], call)).toEqual([undefined])
    expect(await made.blobs.readChunks([absent], call)).toEqual([undefined])
    expect(await made.blobs.chunkSizes([absent], call)).toEqual([undefined])
  })

  test(`${label}: the empty blob is always there and has no chunks`, async () => {
    await using made = await make()
    const empty = await put(made.blobs, new Uint8Array(0))
    expect(empty.hex).toMatch(/^af1349b9/)
    expect(await made.blobs.layouts([empty], call)).toEqual([[]])
    expect((await made.blobs.open(empty, call))?.size).toBe(0)
  })

  for (const size of [1, 1000, 131_072, 131_073, 600_000, 3_000_000]) {
    test(`${label}: a blob of ${size} bytes reads back whole and from any offset`, async () => {
      await using made = await make()
      const content = noise(size, 'blob')
      const digest = await put(made.blobs, content, 70_001)
      expect(digest.hex).toBe(Digest.ofContent(content).hex)
      const reader = await made.blobs.open(digest, call)
      expect(reader?.size).toBe(size)
      for (const offset of [0, 1, size >> 1, size - 1, size, size + 1]) {
        const read = await allBytes(reader!.read(offset, call))
        expect(read.equals(content.subarray(offset)), `from ${offset}`).toBe(true)
        for (const length of [0, 1, 1000, size >> 1, size, size + 9]) {
          const pieces = await collect(reader!.read(offset, call, length))
          const what = `${length} from ${offset}`
          expect(
            pieces.every((piece) => piece.length > 0),
            what,
          ).toBe(true)
          const right = content.subarray(offset, offset + length)
          expect(Buffer.concat(pieces).equals(right), what).toBe(true)
        }
      }
    })
  }

  test(`${label}: any range of a blob is that slice of it`, async () => {
    await using made = await make()
    const content = noise(1_500_000, 'ranges')
    const digest = await put(made.blobs, content)
    const reader = await made.blobs.open(digest, call, content.length)
    const lengths = fc.oneof(fc.nat(40_000), fc.nat(content.length), fc.constant(undefined))
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length + 10), lengths, async (offset, length) => {
        const read = await allBytes(reader!.read(offset, call, length))
        const end = length === undefined ? content.length : offset + length
        return read.equals(content.subarray(offset, end))
      }),
      { numRuns: 40 },
    )
  })

  test(`${label}: a layout names chunks that are held and add up to the blob`, async () => {
    await using made = await make()
    const content = noise(3_000_000, 'layout')
    const digest = await put(made.blobs, content)
    const [layout] = await made.blobs.layouts([digest], call)
    expect(layout!.length).toBeGreaterThan(3)
    expect(layout!.every((chunk) => chunk.size <= CHUNK_BYTES_MAX)).toBe(true)
    const chunks = await made.blobs.readChunks(
      layout!.map((chunk) => chunk.digest),
      call,
    )
    expect(Buffer.concat(chunks as Uint8Array[]).equals(content)).toBe(true)
  })

  for (const size of [0, 1, 16_384, 16_385, 131_073, 3_000_000]) {
    test(`${label}: any range of a blob of ${size} bytes is proven by its outboard`, async () => {
      await using made = await make()
      const content = noise(size, 'outboard')
      const digest = await put(made.blobs, content, 70_001)
      const outboard = await made.blobs.outboard(digest, call)
      expect(outboard?.digest.hex).toBe(digest.hex)
      expect(outboard?.shape.size).toBe(size)
      outboard!.verify()
      const read = async function* ({ from, to }: Span) {
        yield content.subarray(from, to)
      }
      const range = { offset: size >> 1, length: 20_000 }
      const proven = await allBytes(provenRange(outboard!, range, read, call))
      expect(proven.equals(content.subarray(size >> 1, (size >> 1) + 20_000))).toBe(true)
    })
  }

  test(`${label}: what is assembled has an outboard, too`, async () => {
    await using made = await make()
    const chunks = [noise(200_000, 'a'), noise(300_000, 'b')]
    const layout = chunks.map((bytes) => ({ digest: Digest.ofContent(bytes), size: bytes.length }))
    await made.blobs.putChunks(
      chunks.map((bytes, i) => ({ digest: layout[i]!.digest, bytes })),
      call,
    )
    const whole = Buffer.concat(chunks)
    await made.blobs.assemble(Digest.ofContent(whole), layout, call)
    const outboard = await made.blobs.outboard(Digest.ofContent(whole), call)
    expect(outboard?.shape.size).toBe(whole.length)
    outboard!.verify()
  })

  test(`${label}: an abandoned blob is not there`, async () => {
    await using made = await make()
    const content = noise(2_000_000, 'abandoned')
    {
      await using writer = made.blobs.create()
      await writer.write(content, call)
    }
    expect(await made.blobs.open(Digest.ofContent(content), call)).toBeUndefined()
  })

  test(`${label}: small blobs go in many at a time, with what is equal or empty among them`, async () => {
    await using made = await make()
    const contents = [noise(10, 1), new Uint8Array(0), noise(131_072, 2), noise(10, 1)]
    const digests = await made.blobs.putSmall(contents, call)
    expect(digests).toEqual(contents.map((content) => Digest.ofContent(content)))
    for (const [i, digest] of digests.entries()) {
      const reader = await made.blobs.open(digest, call)
      expect((await allBytes(reader!.read(0, call))).equals(contents[i]!)).toBe(true)
    }
  })

  test(`${label}: a chunk that does not match its digest is refused`, async () => {
    await using made = await make()
    const error = await made.blobs
      .putChunks([{ digest: absent, bytes: noise(50, 'forged') }], call)
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CastoreError)
    expect((error as CastoreError).fault.code).toBe('digest-mismatch')
    expect(await made.blobs.chunkSizes([absent], call)).toEqual([undefined])
  })

  test(`${label}: a blob is assembled of its chunks, and only of the right ones`, async () => {
    await using made = await make()
    const parts = [noise(1000, 'a'), noise(2000, 'b')]
    const layout = parts.map((bytes) => ({ digest: Digest.ofContent(bytes), size: bytes.length }))
    const whole = Digest.ofContent(Buffer.concat(parts))
    const fault = async (list: typeof layout, digest = whole): Promise<unknown> =>
      made.blobs.assemble(digest, list, call).then(
        () => 'assembled',
        (error: CastoreError) => error.fault.code,
      )
    expect(await fault(layout)).toBe('incomplete')
    const chunks = parts.map((bytes, i) => ({ digest: layout[i]!.digest, bytes }))
    await made.blobs.putChunks(chunks, call)
    expect(await fault(layout.toReversed())).toBe('digest-mismatch')
    expect(await made.blobs.open(whole, call)).toBeUndefined()
    expect(await fault(layout)).toBe('assembled')
    const reader = await made.blobs.open(whole, call)
    expect((await allBytes(reader!.read(500, call))).length).toBe(2500)
  })

  test(`${label}: an aborted read throws its reason`, async () => {
    await using made = await make()
    const digest = await put(made.blobs, noise(3_000_000, 'abort'))
    const abort = new AbortController()
    const reader = await made.blobs.open(digest, call)
    const reason = new Error('reader left')
    const reading = async (): Promise<void> => {
      for await (const _ of reader!.read(0, { signal: abort.signal })) abort.abort(reason)
    }
    await expect(reading()).rejects.toBe(reason)
  })
}
