import { open as openFile, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import type { RecordKind } from '../../../src/castore/record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { SEGMENT_BYTES } from '../../../src/castore/stores/segment-log.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { blake3 } from '../../../src/foundation/blake3.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { call, collect, noise } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'

const MIB = 1024 * 1024
const open = (directory: string) => SegmentRecordStore.open({ directory, log: silentLog })
const chunk = (seed: number, size = 1000) => {
  const bytes = noise(size, seed)
  return { key: blake3(bytes), bytes }
}
const path = (seed: number) => ({
  key: noise(20, `path ${seed}`),
  bytes: noise(50, `info ${seed}`),
})
const segmentNames = async (directory: string) =>
  (await readdir(join(directory, 'segments'))).sort()
const loseIndex = (directory: string) => rm(join(directory, 'index'), { recursive: true })
const holds = async (store: SegmentRecordStore, kind: RecordKind, keys: readonly Uint8Array[]) =>
  (await store.get(kind, keys, call)).map((bytes) => bytes !== undefined)

/** Fills one segment and begins another; says what went into the first. */
async function filled(store: SegmentRecordStore, seed = 0) {
  const chunks = Array.from({ length: SEGMENT_BYTES / MIB }, (_, i) => chunk(seed + i, MIB))
  for (const it of chunks) await store.put('chunk', [it], call)
  await store.put('chunk', [chunk(seed + 999, 10)], call)
  await store.sync(call)
  return chunks
}

async function flip(file: string, position: number): Promise<void> {
  await using handle = await openFile(file, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, position)
  byte[0]! ^= 0xff
  await handle.write(byte, 0, 1, position)
}

test('what is removed is gone, after restarts and with the index made anew', async () => {
  await using directory = await temporaryDirectory()
  const [kept, lost, again] = [chunk(1), chunk(2), chunk(3)]
  {
    await using store = await open(directory.path)
    await store.put('chunk', [kept, lost, again], call)
    await store.put('path-info', [path(1), path(2)], call)
    await store.sync(call)
    const names = [lost, again, chunk(77)].map(({ key }) => ({ kind: 'chunk' as const, key }))
    await store.remove([...names, { kind: 'path-info', key: path(1).key }], call)
    expect(await holds(store, 'chunk', [kept.key, lost.key])).toEqual([true, false])
    await store.put('chunk', [again], call)
    expect(store.totals('chunk')).toEqual({ records: 2, bytes: 2000, storedBytes: 2000 })
    expect(store.totals('path-info')).toMatchObject({ records: 1, bytes: 50 })
  }
  for (const isIndexLost of [false, true]) {
    if (isIndexLost) await loseIndex(directory.path)
    await using store = await open(directory.path)
    const keys = [kept.key, lost.key, again.key]
    expect(await holds(store, 'chunk', keys)).toEqual([true, false, true])
    expect((await collect(store.keys('path-info', call))).map((it) => Buffer.from(it))).toEqual([
      path(2).key,
    ])
    expect(store.totals('chunk')).toMatchObject({ records: 2, bytes: 2000 })
  }
})

test('a record that is put again while it is being removed is there', async () => {
  await using directory = await temporaryDirectory()
  await using store = await open(directory.path)
  for (let i = 0; i < 50; i++) {
    await store.put('chunk', [chunk(1)], call)
    await Promise.all([
      store.remove([{ kind: 'chunk', key: chunk(1).key }], call),
      ...(i % 2 === 0 ? [store.sync(call)] : []),
      Promise.resolve().then(() => store.put('chunk', [chunk(1)], call)),
      store.put('chunk', [chunk(2)], call),
    ])
    // Before the removal it was there already, after it it is there anew; never neither.
    const [held] = await store.sizes('chunk', [chunk(1).key], call)
    if (held !== undefined) expect(await holds(store, 'chunk', [chunk(1).key])).toEqual([true])
    await store.remove([{ kind: 'chunk', key: chunk(1).key }], call)
    expect(store.totals('chunk')).toMatchObject({ records: 1, bytes: 1000 })
  }
})

test('the condemned are pardoned by whoever asks for them or puts them, others go', async () => {
  await using directory = await temporaryDirectory()
  await using store = await open(directory.path)
  const chunks = Array.from({ length: 6 }, (_, i) => chunk(i))
  await store.put('chunk', chunks, call)
  store.watch()
  const condemn = () => store.condemn(chunks.map(({ key }) => ({ kind: 'chunk', key })))
  condemn()
  await store.get('chunk', [chunks[0]!.key], call)
  await store.sizes('chunk', [chunks[1]!.key], call)
  await store.put('chunk', [chunks[2]!], call)
  await store.getPacked('chunk', [chunks[3]!.key], call)
  expect(store.condemned()).toBe(2)
  await store.removeCondemned(call)
  const keys = chunks.map(({ key }) => key)
  expect(await holds(store, 'chunk', keys)).toEqual([true, true, true, true, false, false])
  store.pardonAll()
  store.watch()
  condemn()
  expect(store.condemned()).toBe(6)
  await store.peek('chunk', [chunks[0]!.key], call)
  expect(store.condemned()).toBe(6)
  store.pardonAll()
  await store.removeCondemned(call)
  expect(store.totals('chunk').records).toBe(4)
})

test('compaction moves what is held and gives the rest back, also for those who are reading', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory()
  await using store = await open(directory.path)
  await store.put('path-info', [path(1), path(2)], call)
  const chunks = await filled(store)
  await store.put('path-info', [path(2)], call) // its older copy is dead
  const kept = chunks.filter((_, i) => i % 4 === 0)
  const dead = chunks.filter((_, i) => i % 4 !== 0)
  await store.remove([...dead.map(({ key }) => ({ kind: 'chunk' as const, key }))], call)
  const [usage] = await store.segments(call)
  expect(usage!.segment).toBe(0)
  expect(usage!.liveBytes).toBeGreaterThan(kept.length * MIB)
  expect(usage!.liveBytes).toBeLessThan(kept.length * MIB + 10_000)

  let isOver = false
  const reading = (async () => {
    let reads = 0
    while (!isOver || reads === 0) {
      const found = await holds(
        store,
        'chunk',
        kept.map(({ key }) => key),
      )
      expect(found.every((it) => it)).toBe(true)
      reads++
    }
  })()
  const before = await store.diskBytes(call)
  const { movedBytes, freedBytes } = await store.compact(0, call)
  isOver = true
  await reading
  expect(movedBytes).toBe(usage!.liveBytes)
  expect(await store.diskBytes(call)).toBeLessThan(before - freedBytes + 100_000)
  expect(await segmentNames(directory.path)).toEqual(['00000001.seg'])
  await store.close()
  await loseIndex(directory.path)
  await using again = await open(directory.path)
  expect(again.totals('chunk').records).toBe(kept.length + 1)
  expect(await holds(again, 'path-info', [path(1).key, path(2).key])).toEqual([true, true])
})

test('what was removed stays removed when the note of it is compacted away', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory()
  await using store = await open(directory.path)
  await store.put('path-info', [path(1)], call)
  await filled(store) // segment 0 keeps the path's record
  await store.remove([{ kind: 'path-info', key: path(1).key }], call)
  const second = await filled(store, 5000)
  const names = second.map(({ key }) => ({ kind: 'chunk' as const, key }))
  await store.remove(names, call)
  await store.sync(call)
  await store.compact(1, call)
  await store.close()
  await loseIndex(directory.path)
  await using again = await open(directory.path)
  expect(await holds(again, 'path-info', [path(1).key])).toEqual([false])
})

test('the age of records is that of their segment, and what is being written is never old', {
  timeout: 60_000,
}, async () => {
  await using directory = await temporaryDirectory()
  await using store = await open(directory.path)
  const chunks = await filled(store)
  const later = Date.now() + 60_000
  const old = (await collect(store.records('chunk', later, call))).flat()
  expect(old.length).toBe(chunks.length)
  expect(old[0]).toMatchObject({ size: MIB, storedBytes: MIB + 56 })
  expect(await collect(store.records('chunk', Date.now() - 60_000, call))).toEqual([])
})

test('one rotten record costs no other one, though the index is lost', async () => {
  await using directory = await temporaryDirectory()
  const chunks = [chunk(1), chunk(2), chunk(3)]
  {
    await using store = await open(directory.path)
    for (const it of chunks) {
      await store.put('chunk', [it], call)
      await store.sync(call)
    }
    await store.put('path-info', [path(1)], call)
  }
  const file = join(directory.path, 'segments', '00000000.seg')
  const { size } = await stat(file)
  const keys = chunks.map(({ key }) => key)
  await flip(file, 56 + 500) // in the first one's bytes
  await loseIndex(directory.path)
  {
    await using store = await open(directory.path)
    expect(await store.sizes('chunk', keys, call)).toEqual([undefined, 1000, 1000])
    expect(await holds(store, 'path-info', [path(1).key])).toEqual([true])
    expect((await stat(file)).size).toBe(size)
  }
  // A rotten header hides how far the record goes: what is found behind counts only if it names
  // itself.
  await flip(file, 10)
  await loseIndex(directory.path)
  await using store = await open(directory.path)
  expect(await store.sizes('chunk', keys, call)).toEqual([undefined, 1000, 1000])
  expect(await holds(store, 'path-info', [path(1).key])).toEqual([false])
})

test('a record within the content of another is never taken for one of the log', async () => {
  await using directory = await temporaryDirectory()
  await using other = await temporaryDirectory()
  {
    await using forger = await open(other.path)
    await forger.put('path-info', [path(666)], call)
  }
  const bytes = await readFile(join(other.path, 'segments', '00000000.seg'))
  {
    await using store = await open(directory.path)
    await store.put('chunk', [{ key: blake3(bytes), bytes }], call)
    await store.sync(call)
    await store.put('chunk', [chunk(1)], call)
  }
  await flip(join(directory.path, 'segments', '00000000.seg'), 20)
  await loseIndex(directory.path)
  await using store = await open(directory.path)
  expect(await holds(store, 'chunk', [chunk(1).key])).toEqual([true])
  expect(await holds(store, 'path-info', [path(666).key])).toEqual([false])
})

test('content that packs well is stored packed, and reads back as it was', async () => {
  await using directory = await temporaryDirectory()
  const text = Buffer.from('All work and no play makes Jack a dull boy.\n'.repeat(20_000))
  const random = noise(300_000, 'random')
  {
    await using store = await open(directory.path)
    const castore = recordCastore({ records: store })
    for (const content of [text, random]) {
      await using writer = castore.blobs.create()
      await writer.write(content, call)
      const digest = await writer.commit(call)
      const reader = await castore.blobs.open(digest, call)
      expect(Buffer.concat(await collect(reader!.read(0, call))).equals(content)).toBe(true)
    }
    const { bytes, storedBytes } = store.totals('chunk')
    expect(storedBytes).toBeLessThan(bytes - text.length * 0.3)
    expect(storedBytes).toBeGreaterThan(random.length)
  }
  await loseIndex(directory.path)
  await using store = await open(directory.path)
  const keys = await collect(store.keys('chunk', call))
  expect(await holds(store, 'chunk', keys)).toEqual(keys.map(() => true))
  const packed = await store.getPacked('chunk', keys, call)
  expect(new Set(packed.map((it) => it!.packing))).toEqual(new Set(['raw', 'zstd']))
})

test('a packed record that is rotten, or unpacks to something else, is an error', async () => {
  await using directory = await temporaryDirectory()
  await using store = await open(directory.path)
  const content = Buffer.alloc(5000, 'a')
  const put = async (bytes: Buffer, frame: Buffer) => {
    const key = blake3(bytes)
    await store.put('chunk', [{ key, bytes, stored: { packing: 'zstd', bytes: frame } }], call)
    return await store.get('chunk', [key], call).then(
      () => 'read',
      (error) => (error instanceof CastoreError ? error.fault.code : error),
    )
  }
  expect(await put(content, zstdCompressSync(content))).toBe('read')
  const other = Buffer.alloc(5000, 'b')
  expect(await put(other, zstdCompressSync(content))).toBe('record-corrupt')
  const longer = Buffer.alloc(5000, 'c')
  expect(await put(longer, zstdCompressSync(Buffer.alloc(5001, 'c')))).toBe('record-corrupt')
  const bomb = Buffer.alloc(5000, 'd')
  expect(await put(bomb, zstdCompressSync(Buffer.alloc(300 * MIB)))).toBe('record-corrupt')
  const none = Buffer.alloc(5000, 'e')
  expect(await put(none, noise(100))).toBe('record-corrupt')
})
