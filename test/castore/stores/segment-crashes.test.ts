import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FaultyDisk, type Stop } from '../../../simulations/world/faulty-disk.ts'
import type { RecordKind } from '../../../src/castore/record-store.ts'
import type { Disk } from '../../../src/castore/stores/disk.ts'
import { SegmentRecordStore } from '../../../src/castore/stores/segment-record-store.ts'
import { blake3 } from '../../../src/foundation/blake3.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { call, noise } from '../../fixtures/content.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'
import { type Gates, gatedDisk } from './gated-disk.ts'

/** How many power cuts a scenario goes through: each loses something else. */
const CUTS = 30

const SEGMENT_BYTES = 10_000

const chunk = (seed: number | string, size = 1000) => {
  const bytes = noise(size, seed)
  return { key: Buffer.from(blake3(bytes)), bytes }
}
const named = (seed: number | string, size = 50) => ({
  key: noise(20, `key ${seed}`),
  bytes: noise(size, `value ${seed}`),
})

/** A store on a disk in memory, which is stopped and opened again. */
async function world(seed: number, init: { syncFails?: boolean } = {}) {
  const directory = await temporaryDirectory()
  const rates = { sync: init.syncFails === true ? 1000 : 0 }
  const disk = new FaultyDisk({ seed, rates })
  disk.hasFaults = false
  const gates: Gates = {}
  const gated: Disk = gatedDisk(disk, gates)
  const components = { directory: directory.path, log: silentLog, disk: gated }
  const open = () =>
    SegmentRecordStore.open(components, { segmentBytes: SEGMENT_BYTES, unsyncedBytesMax: 2 ** 30 })
  let store = await open()
  const index = join(directory.path, 'index')
  return {
    disk,
    gates,
    index,
    segments: join(directory.path, 'segments'),
    get store() {
      return store
    },
    /** Stops at once, and opens the store again as it is then. */
    crash: async (how: Stop, init: { isIndexLost?: boolean } = {}) => {
      disk.stopAfter(0, () => undefined)
      await store.close().catch(() => undefined)
      disk.restart(how)
      if (init.isIndexLost === true) await rm(index, { recursive: true })
      store = await open()
    },
    reopen: async () => {
      store = await open()
    },
    [Symbol.asyncDispose]: async () => {
      await store.close().catch(() => undefined)
      await directory[Symbol.asyncDispose]()
    },
  }
}

const holds = async (store: SegmentRecordStore, kind: RecordKind, key: Uint8Array) =>
  (await store.get(kind, [key], call))[0] !== undefined

test('what was there after a kill is on stable storage when it is relied on', async () => {
  for (let seed = 0; seed < CUTS; seed++) {
    await using it = await world(seed)
    for (let i = 0; i < 15; i++) await it.store.put('chunk', [chunk(i)], call)
    await it.crash('kill')
    expect(await holds(it.store, 'chunk', chunk(3).key)).toBe(true)
    await it.store.put('chunk', [chunk(3)], call)
    await it.store.sync(call)
    await it.crash('power-cut')
    expect(await holds(it.store, 'chunk', chunk(3).key)).toBe(true)
  }
})

test('after a sync that failed nothing is acknowledged that was not written again', async () => {
  let acknowledged = 0
  for (let seed = 0; seed < CUTS; seed++) {
    await using it = await world(seed, { syncFails: true })
    await it.store.put('chunk', [chunk(1), chunk(2)], call)
    it.disk.hasFaults = true
    await expect(it.store.sync(call)).rejects.toThrow('EIO')
    it.disk.hasFaults = false
    // Where the cache has dropped it as well, it is refused in words.
    const outcome = await it.store.sync(call).then(
      () => 'synced',
      (error) => error.message,
    )
    if (outcome === 'synced') acknowledged++
    else expect(outcome).toMatch(/lost before it was on stable storage/)
    await it.crash('power-cut')
    if (outcome === 'synced') {
      expect(await holds(it.store, 'chunk', chunk(1).key)).toBe(true)
      expect(await holds(it.store, 'chunk', chunk(2).key)).toBe(true)
    }
    await it.store.put('chunk', [chunk(1)], call)
    await it.store.sync(call)
  }
  expect(acknowledged).toBeGreaterThan(CUTS / 2)
})

test('a file that fills up while it is synced is synced once more', async () => {
  for (let seed = 0; seed < CUTS; seed++) {
    await using it = await world(seed)
    await it.store.put('chunk', [chunk('first')], call)
    const reached = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    it.gates.sync = async (sync) => {
      it.gates.sync = undefined
      await sync()
      reached.resolve()
      await release.promise
      return undefined
    }
    const syncing = it.store.sync(call)
    await reached.promise
    for (let i = 0; i < 12; i++) await it.store.put('chunk', [chunk(i)], call)
    release.resolve()
    await syncing
    await it.store.sync(call)
    await it.crash('power-cut')
    for (let i = 0; i < 12; i++) expect(await holds(it.store, 'chunk', chunk(i).key)).toBe(true)
  }
})

test('a removal that failed is not there after a crash, though it could not be cut off', async () => {
  for (const how of ['kill', 'power-cut'] as const) {
    for (let seed = 0; seed < CUTS; seed++) {
      await using it = await world(seed)
      await it.store.put('chunk', [chunk(1)], call)
      await it.store.sync(call)
      it.gates.write = async (write) => {
        await write()
        throw new Error('written, but told otherwise')
      }
      it.gates.truncate = async () => Promise.reject(new Error('can not be cut'))
      const name = { kind: 'chunk', key: chunk(1).key } as const
      await expect(it.store.remove([name], call)).rejects.toThrow('told otherwise')
      expect(await holds(it.store, 'chunk', chunk(1).key)).toBe(true)
      it.gates.write = undefined
      await expect(it.store.put('chunk', [chunk(2)], call)).rejects.toThrow('can not be cut')
      await expect(it.store.sync(call)).rejects.toThrow('can not be cut')
      it.gates.truncate = undefined
      await it.store.put('chunk', [chunk(1)], call)
      await it.store.sync(call)
      await it.crash(how)
      expect(await holds(it.store, 'chunk', chunk(1).key)).toBe(true)
      expect(it.store.totals('chunk').records).toBe(1)
    }
  }
})

test('behind a segment whose name was lost nothing is taken in', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < CUTS; seed++) {
    await using it = await world(seed)
    await it.store.put('chunk', [chunk('old')], call)
    await it.store.sync(call)
    for (let i = 0; i < 25; i++) await it.store.put('chunk', [chunk(i)], call)
    await it.store.put('path-info', [named('path')], call)
    await it.crash('power-cut')
    let there = 0
    while (there < 25 && (await holds(it.store, 'chunk', chunk(there).key))) there++
    for (let i = there; i < 25; i++) {
      expect(await holds(it.store, 'chunk', chunk(i).key), `${i} without ${there}`).toBe(false)
    }
    const hasPath = await holds(it.store, 'path-info', named('path').key)
    if (hasPath) expect(there).toBe(25)
    seen.add(there === 25 ? 'all' : there === 0 ? 'none' : 'some')
    expect(await holds(it.store, 'chunk', chunk('old').key)).toBe(true)
  }
  expect(seen).toContain('none')
  expect(seen).toContain('some')
})

test('what was cut off does not come back behind what is put later', async () => {
  for (let seed = 0; seed < CUTS; seed++) {
    await using it = await world(seed)
    await it.store.put('share-choice', [named(1)], call)
    await it.store.sync(call)
    for (let i = 0; i < 25; i++) await it.store.put('chunk', [chunk(i)], call)
    await it.store.remove([{ kind: 'share-choice', key: named(1).key }], call)
    await it.crash('power-cut')
    const isHeld = await holds(it.store, 'share-choice', named(1).key)
    await it.store.sync(call)
    await it.crash('power-cut')
    expect(await holds(it.store, 'share-choice', named(1).key)).toBe(isHeld)
  }
})

test('an index that has lost a part of what was written to it is made anew', async () => {
  for (let part = 0; part < 5; part++) {
    await using it = await world(1)
    const chunks = Array.from({ length: 200 }, (_, i) => chunk(i, 100))
    for (const each of chunks) {
      await it.store.put('chunk', [each], call)
      await it.store.sync(call)
    }
    await it.store.close()
    const log = (await readdir(it.index)).find((name) => name.endsWith('.log'))!
    const bytes = await readFile(join(it.index, log))
    const at = Math.floor((bytes.length * part) / 5)
    await writeFile(join(it.index, log), bytes.fill(0, at, at + 4096))
    await it.reopen()
    for (const { key } of chunks) expect(await holds(it.store, 'chunk', key)).toBe(true)
    expect(it.store.totals('chunk').records).toBe(200)
  }
})

test('an index that is older than a compaction is made anew', async () => {
  await using it = await world(1)
  const copy = `${it.index}-copy`
  for (let i = 0; i < 12; i++) await it.store.put('chunk', [chunk(i)], call)
  await it.store.put('share-choice', [named(1)], call)
  await it.store.sync(call)
  await it.store.close()
  const { cp } = await import('node:fs/promises')
  await cp(it.index, copy, { recursive: true })
  await it.reopen()
  await it.store.remove([{ kind: 'chunk', key: chunk(1).key }], call)
  for (let i = 20; i < 50; i++) await it.store.put('chunk', [chunk(i)], call)
  for (const { segment } of await it.store.segments(call)) await it.store.compact(segment, call)
  await it.store.close()
  await rm(it.index, { recursive: true })
  await cp(copy, it.index, { recursive: true })
  await it.reopen()
  expect(await it.store.sizes('chunk', [chunk(1).key], call)).toEqual([undefined])
  for (const i of [0, 2, 11, 20, 49]) {
    expect(await holds(it.store, 'chunk', chunk(i).key), `${i}`).toBe(true)
  }
  expect(await holds(it.store, 'share-choice', named(1).key)).toBe(true)
  expect(it.store.totals('chunk').records).toBe(41)
})

test('totals are right, whatever is put twice or fails to be removed', async () => {
  await using it = await world(1)
  const [one, two] = [named('same', 10), { ...named('same'), bytes: noise(30) }]
  await it.store.put('share-choice', [one, two], call)
  expect(it.store.totals('share-choice')).toMatchObject({ records: 1, bytes: 30 })
  await it.store.put('chunk', [chunk(1)], call)
  it.gates.write = async () => {
    it.gates.write = undefined
    throw new Error('not now')
  }
  const removing = it.store.remove([{ kind: 'chunk', key: chunk(1).key }], call)
  removing.catch(() => undefined)
  while ((await it.store.sizes('chunk', [chunk(1).key], call))[0] !== undefined) await undefined
  await it.store.put('chunk', [chunk(1)], call)
  await expect(removing).rejects.toThrow('not now')
  expect(it.store.totals('chunk')).toMatchObject({ records: 1, bytes: 1000 })
})

test('a store that could not be closed well can be opened again in the same process', async () => {
  await using it = await world(1, { syncFails: true })
  await it.store.put('chunk', [chunk(1)], call)
  it.disk.hasFaults = true
  await expect(it.store.close()).rejects.toThrow('EIO')
  it.disk.hasFaults = false
  await it.reopen()
  await it.store.put('chunk', [chunk(2)], call)
  await it.store.sync(call)
})

test('a note of what was removed is not carried behind what is put meanwhile', async () => {
  for (const isIndexLost of [false, true]) {
    await using it = await world(1)
    await it.store.put('chunk', [chunk('gone'), ...fillers(0, 10)], call)
    await it.store.remove([{ kind: 'chunk', key: chunk('gone').key }], call)
    for (const filler of fillers(10, 30)) await it.store.put('chunk', [filler], call)
    await it.store.sync(call)
    // The put is on its way to the disk when compaction looks at what it has to say again.
    const reached = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    it.gates.write = async (write) => {
      reached.resolve()
      await release.promise
      return await write()
    }
    const putting = it.store.put('chunk', [chunk('gone')], call)
    await reached.promise
    it.gates.write = undefined
    const compacting = it.store.compact(1, call)
    for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    release.resolve()
    await Promise.all([putting, compacting])
    await it.store.sync(call)
    await it.crash('kill', { isIndexLost })
    expect(await holds(it.store, 'chunk', chunk('gone').key)).toBe(true)
  }

  function fillers(from: number, to: number) {
    return Array.from({ length: to - from }, (_, i) => chunk(`filler ${from + i}`))
  }
})

test('a format that can not be read is no reason to write another', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(join(directory.path, 'format'))
  const components = { directory: directory.path, log: silentLog }
  await expect(SegmentRecordStore.open(components)).rejects.toThrow('EISDIR')
})
