import { appendFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { SEGMENT_BYTES } from '../../../src/castore/stores/segment-log.ts'
import { RECORD_HEADER_BYTES } from '../../../src/castore/stores/segment-record.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { STORE_FORMAT } from '../../../src/castore/stores/store-format.ts'
import { blake3 } from '../../../src/foundation/blake3.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { blobStoreContract } from '../../contracts/blob-store-contract.ts'
import { directoryStoreContract } from '../../contracts/directory-store-contract.ts'
import { recordKeeperContract } from '../../contracts/record-keeper-contract.ts'
import { recordStoreContract } from '../../contracts/record-store-contract.ts'
import { call, collect, noise } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'

async function fresh() {
  const directory = await temporaryDirectory()
  const store = await SegmentRecordStore.open({ directory: directory.path, log: silentLog })
  const dispose = async (): Promise<void> => {
    await store.close()
    await directory[Symbol.asyncDispose]()
  }
  return { store, dispose }
}

const disposable = async () => {
  const { store, dispose } = await fresh()
  return Object.assign(store, { [Symbol.asyncDispose]: dispose })
}
recordStoreContract('segments', disposable)
recordKeeperContract('segments', disposable)

const castore = async () => {
  const { store, dispose } = await fresh()
  return { ...recordCastore({ records: store }), [Symbol.asyncDispose]: dispose }
}
blobStoreContract('records in segments', castore)
directoryStoreContract('records in segments', castore)

const chunk = (seed: number, size = 1000) => {
  const bytes = noise(size, seed)
  return { key: blake3(bytes), bytes }
}
const open = (directory: string) => SegmentRecordStore.open({ directory, log: silentLog })
const newestSegment = async (directory: string): Promise<string> => {
  const names = (await readdir(join(directory, 'segments'))).sort()
  return join(directory, 'segments', names.at(-1)!)
}

test('what was synced is there after a restart, totals included', async () => {
  await using directory = await temporaryDirectory()
  {
    await using store = await open(directory.path)
    await store.put('chunk', [chunk(1), chunk(2, 200_000)], call)
    await store.put('path-info', [{ key: noise(20), bytes: noise(9) }], call)
  }
  await using store = await open(directory.path)
  expect(store.totals('chunk')).toMatchObject({ records: 2, bytes: 201_000 })
  const [bytes] = await store.get('chunk', [chunk(2, 200_000).key], call)
  expect(chunk(2, 200_000).bytes.equals(bytes!)).toBe(true)
  expect((await collect(store.keys('path-info', call))).length).toBe(1)
})

test('a lost index is rebuilt from the segments', async () => {
  await using directory = await temporaryDirectory()
  const chunks = Array.from({ length: 500 }, (_, i) => chunk(i, i * 37))
  const name = noise(20)
  {
    await using store = await open(directory.path)
    await store.put('path-info', [{ key: name, bytes: noise(9, 'old') }], call)
    await store.put('chunk', chunks, call)
    await store.put('path-info', [{ key: name, bytes: noise(9, 'new') }], call)
  }
  await rm(join(directory.path, 'index'), { recursive: true })
  await using store = await open(directory.path)
  const read = await store.get(
    'chunk',
    chunks.map((it) => it.key),
    call,
  )
  expect(read.every((bytes, i) => chunks[i]!.bytes.equals(bytes!))).toBe(true)
  const [info] = await store.get('path-info', [name], call)
  expect(noise(9, 'new').equals(info!)).toBe(true)
  expect(store.totals('path-info')).toMatchObject({ records: 1, bytes: 9 })
  expect(store.totals('chunk').records).toBe(500)
})

test('an index that can not be read is rebuilt', async () => {
  await using directory = await temporaryDirectory()
  {
    await using store = await open(directory.path)
    await store.put('chunk', [chunk(1)], call)
  }
  await writeFile(join(directory.path, 'index', 'CURRENT'), 'MANIFEST-999999\n')
  await using store = await open(directory.path)
  expect(await store.sizes('chunk', [chunk(1).key], call)).toEqual([1000])
})

test('a torn tail is cut at the last whole record, and the log goes on there', async () => {
  await using directory = await temporaryDirectory()
  const chunks = [chunk(1), chunk(2), chunk(3)]
  {
    await using store = await open(directory.path)
    await store.put('chunk', chunks, call)
  }
  await rm(join(directory.path, 'index'), { recursive: true })
  const segment = await newestSegment(directory.path)
  // The last thing in the log is the note of what was synced.
  const whole = (await stat(segment)).size - RECORD_HEADER_BYTES - 8
  for (const lost of [1, 500, 1000, 1055]) {
    await truncate(segment, whole - lost)
    await using store = await open(directory.path)
    expect(
      await store.sizes(
        'chunk',
        chunks.map((it) => it.key),
        call,
      ),
    ).toEqual([1000, 1000, undefined])
    await store.put('chunk', [chunks[2]!], call)
    await store.close()
    await using again = await open(directory.path)
    const [bytes] = await again.get('chunk', [chunks[2]!.key], call)
    expect(chunks[2]!.bytes.equals(bytes!)).toBe(true)
    expect((await stat(segment)).size).toBe(whole + RECORD_HEADER_BYTES + 8)
    await again.close()
    await rm(join(directory.path, 'index'), { recursive: true })
  }
})

test('rubbish behind the last record is cut off', async () => {
  await using directory = await temporaryDirectory()
  {
    await using store = await open(directory.path)
    await store.put('chunk', [chunk(1)], call)
  }
  await appendFile(await newestSegment(directory.path), noise(5000, 'rubbish'))
  await using store = await open(directory.path)
  await store.put('chunk', [chunk(2)], call)
  await store.close()
  await rm(join(directory.path, 'index'), { recursive: true })
  await using again = await open(directory.path)
  expect(again.totals('chunk')).toMatchObject({ records: 2, bytes: 2000 })
})

test('segments shorter than the index knows are indexed anew', async () => {
  await using directory = await temporaryDirectory()
  {
    await using store = await open(directory.path)
    await store.put('chunk', [chunk(1), chunk(2)], call)
  }
  await truncate(await newestSegment(directory.path), 1056)
  await using store = await open(directory.path)
  const keys = [chunk(1).key, chunk(2).key]
  expect(await store.sizes('chunk', keys, call)).toEqual([1000, undefined])
  expect(store.totals('chunk').records).toBe(1)
})

test('a rotten record is an error, not wrong bytes', async () => {
  await using directory = await temporaryDirectory()
  {
    await using store = await open(directory.path)
    await store.put('chunk', [chunk(1)], call)
    await store.put('layout', [{ key: noise(32), bytes: noise(100) }], call)
  }
  const segment = await newestSegment(directory.path)
  await flipByte(segment, 100)
  await flipByte(segment, 1056 + 56 + 10)
  await using store = await open(directory.path)
  for (const [kind, key] of [
    ['chunk', chunk(1).key],
    ['layout', noise(32)],
  ] as const) {
    const error = await store.get(kind, [key], call).catch((thrown: unknown) => thrown)
    expect((error as CastoreError).fault.code).toBe('record-corrupt')
  }
})

test('the log goes on in a new segment when one is full, and all of it is indexed again', async () => {
  await using directory = await temporaryDirectory()
  const chunks = Array.from({ length: 20 }, (_, i) => chunk(i, SEGMENT_BYTES / 8))
  {
    await using store = await open(directory.path)
    for (const it of chunks) await store.put('chunk', [it], call)
  }
  expect((await readdir(join(directory.path, 'segments'))).length).toBe(3)
  await rm(join(directory.path, 'index'), { recursive: true })
  await using store = await open(directory.path)
  expect(store.totals('chunk').records).toBe(20)
  await flipByte(join(directory.path, 'segments', '00000001.seg'), 1000)
  await store.close()
  await rm(join(directory.path, 'index'), { recursive: true })
  await using mended = await open(directory.path)
  expect(mended.totals('chunk').records).toBe(19)
  expect((await readdir(join(directory.path, 'segments'))).length).toBe(3)
})

test('a second store on the same directory is refused in words', async () => {
  await using directory = await temporaryDirectory()
  await using _store = await open(directory.path)
  const error = await open(directory.path).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(CastoreError)
  expect((error as Error).message).toMatch(/in use by another process/)
})

test('a store of a later format is left alone', async () => {
  await using directory = await temporaryDirectory()
  await writeFile(join(directory.path, 'format'), `${STORE_FORMAT + 1}\n`)
  await expect(open(directory.path)).rejects.toThrow(/format 3/)
})

async function flipByte(path: string, offset: number): Promise<void> {
  const { open: openFile } = await import('node:fs/promises')
  await using file = await openFile(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, offset)
  byte[0] = byte[0]! ^ 1
  await file.write(byte, 0, 1, offset)
}
