import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordStore } from '../../src/castore/record-store.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { collect as collectGarbage, LEASES_MS, YOUNG_MS } from '../../src/retention/collection.ts'
import { RetentionError } from '../../src/retention/retention-error.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { outcomeOf } from '../foundation/manual-clock.ts'
import { directory, file, inPieces, narOf, type Tree } from '../nar/trees.ts'
import { retentionWorld } from './retention-world.ts'

const MIB = 1024 * 1024
const NOW = { youngMs: 0 }
const tree = (seed: string, shared = 'shared'): Tree =>
  directory({
    large: file(noise(MIB, seed)),
    sub: directory({ small: file(`small ${seed}`), both: file(noise(300_000, shared)) }),
  })

test('what nothing refers to goes, what paths reach stays, shared parts included', async () => {
  await using world = await retentionWorld()
  await world.put('kept', tree('kept'))
  await ingestNar(inPieces(narOf(tree('lost')), [100_000]), world.castore, call)
  const before = world.keeper.totals('chunk')
  const { paths, records, liveBytes } = await collectGarbage(world, NOW, call)
  expect(paths).toEqual([])
  expect(records).toBeGreaterThan(5)
  const after = world.keeper.totals('chunk')
  expect(after.bytes).toBe(liveBytes)
  expect(before.bytes - after.bytes).toBe(MIB + 'small lost'.length)
  expect(world.keeper.totals('outboard').records).toBe(1)
  expect(await world.isWhole('kept')).toBe(true)
  expect(await collectGarbage(world, NOW, call)).toMatchObject({ records: 0, bytes: 0 })
})

test('what came a short while ago stays, though nothing refers to it yet', async () => {
  await using world = await retentionWorld()
  await ingestNar(inPieces(narOf(tree('upload')), [100_000]), world.castore, call)
  expect(await collectGarbage(world, {}, call)).toMatchObject({ records: 0 })
  await world.clock.pass(2 * YOUNG_MS)
  // The segment that is being written is never old.
  expect(await collectGarbage(world, {}, call)).toMatchObject({ records: 0 })
})

test('beyond the bound those go that were used least lately, but what is pinned', async () => {
  await using world = await retentionWorld()
  for (const name of ['one', 'two', 'three', 'four']) {
    await world.put(name, tree(name), name === 'four' ? ['two'] : [])
    await world.clock.pass(1000)
  }
  await world.pins.pin([pathNamed('one')], call)
  const stored = world.keeper.totals('chunk').storedBytes
  const bounds = { ...NOW, maxBytes: stored - MIB / 2 }
  const dry = await collectGarbage(world, { ...bounds, isDryRun: true }, call)
  expect(dry.paths.map(({ storePath }) => storePath)).toEqual([pathNamed('three').toString()])
  expect(await world.isWhole('three')).toBe(true)
  const { paths, pathsKept, bytes } = await collectGarbage(world, bounds, call)
  expect(paths).toEqual(dry.paths)
  expect(pathsKept).toBe(3)
  expect(bytes).toBeGreaterThan(MIB)
  expect(await world.isWhole('three')).toBe(false)
  for (const name of ['one', 'two', 'four']) expect(await world.isWhole(name), name).toBe(true)
  await collectGarbage(world, { ...NOW, maxBytes: 0 }, call)
  expect(await world.isWhole('one')).toBe(true)
  expect(world.pathInfos.count()).toBe(1)
  await world.pins.unpin([pathNamed('one')], call)
  await collectGarbage(world, { ...NOW, maxBytes: 0 }, call)
  expect(world.pathInfos.count()).toBe(0)
  for (const kind of ['chunk', 'layout', 'outboard', 'directory', 'use'] as const) {
    expect(world.keeper.totals(kind), kind).toMatchObject({ records: 0, bytes: 0 })
  }
})

test('what nobody asked for in a long time goes', async () => {
  await using world = await retentionWorld()
  await world.put('old', tree('old'))
  await world.put('needed', tree('needed'))
  await world.clock.pass(10_000)
  await world.put('new', tree('new'), ['needed'])
  await world.uses.writeDown(call)
  const { paths } = await collectGarbage(world, { ...NOW, maxAgeMs: 5_000 }, call)
  expect(paths.map(({ storePath }) => storePath)).toEqual([pathNamed('old').toString()])
})

test('whoever is at work is waited for, and what they put meanwhile stays', async () => {
  await using world = await retentionWorld()
  const nar = narOf(tree('late'))
  // Someone found the content here before it was condemned, and has not said yet what it is for.
  const { node, narSize, narSha256 } = await ingestNar(inPieces(nar, [9999]), world.castore, call)
  const lease = world.leases.begin()
  const collecting = collectGarbage(world, NOW, call)
  while (world.keeper.condemned() === 0) expect(await outcomeOf(collecting)).toBe('pending')
  const pathInfo = pathInfoOf('late', { node, narSize, narSha256, references: [] })
  await world.pathInfos.put([ownClaim(pathInfo)], call)
  expect(await outcomeOf(collecting)).toBe('pending')
  lease[Symbol.dispose]()
  await collecting
  expect(await world.isWhole('late')).toBe(true)
})

test('what somebody puts again after it was condemned stays', async () => {
  await using world = await retentionWorld()
  const nar = narOf(tree('again'))
  await ingestNar(inPieces(nar, [9999]), world.castore, call)
  const other = world.leases.begin()
  const collecting = collectGarbage(world, NOW, call)
  while (world.keeper.condemned() === 0) expect(await outcomeOf(collecting)).toBe('pending')
  const ingested = await ingestNar(inPieces(nar, [100_000]), world.castore, call)
  other[Symbol.dispose]()
  await collecting
  await world.pathInfos.put([ownClaim(pathInfoOf('again', { ...ingested, references: [] }))], call)
  expect(await world.isWhole('again')).toBe(true)
})

test('a path has its content that is there though its putting failed at the sync', async () => {
  await using world = await retentionWorld()
  const lease = world.leases.begin()
  const ingested = await ingestNar(inPieces(narOf(tree('half')), [100_000]), world.castore, call)
  const collecting = collectGarbage(world, NOW, call)
  while (world.keeper.condemned() === 0) await new Promise(setImmediate)
  const records: Pick<RecordStore, 'put' | 'sync'> = {
    put: (...args) => world.keeper.put(...args),
    sync: () => Promise.reject(new Error('the disk does not take it')),
  }
  const failing = new RecordPathInfoStore({ records: records as RecordStore })
  const claim = ownClaim(pathInfoOf('half', { ...ingested, references: [] }))
  await expect(failing.put([claim], call)).rejects.toThrow('does not take it')
  lease[Symbol.dispose]()
  await collecting
  expect(await world.isWhole('half')).toBe(true)
})

test('who asks how a blob is cut while it is condemned finds its chunks later', async () => {
  await using world = await retentionWorld()
  const { node } = await ingestNar(inPieces(narOf(tree('blob')), [100_000]), world.castore, call)
  const digest = Digest.ofContent(noise(MIB, 'blob'))
  const lease = world.leases.begin()
  const collecting = collectGarbage(world, NOW, call)
  while (world.keeper.condemned() === 0) await new Promise(setImmediate)
  const [layout] = await world.castore.blobs.layouts([digest], call)
  lease[Symbol.dispose]()
  await collecting
  const digests = layout!.map((chunk) => chunk.digest)
  expect(digests.length).toBeGreaterThan(1)
  expect(await world.castore.blobs.chunkSizes(digests, call)).not.toContain(undefined)
  expect(await world.castore.blobs.layouts([digest], call)).toEqual([layout])
  if (node.type !== 'directory') throw new Error('the tree is a directory')
  expect(await world.castore.directories.get(node.digest, call)).toBeUndefined()
})

test('where somebody is at work for too long, content stays, and the words say so', async () => {
  await using world = await retentionWorld()
  await ingestNar(inPieces(narOf(tree('x')), [9999]), world.castore, call)
  using _lease = world.leases.begin()
  const collecting = collectGarbage(world, NOW, call)
  const failure = expect(collecting).rejects.toSatisfy(
    (error) => error instanceof RetentionError && error.fault.code === 'busy',
  )
  while (world.keeper.condemned() === 0) expect(await outcomeOf(collecting)).toBe('pending')
  while ((await outcomeOf(collecting)) === 'pending') await world.clock.pass(LEASES_MS + 1)
  await failure
  expect(world.keeper.condemned()).toBe(0)
  expect(world.keeper.totals('layout').records).toBeGreaterThan(0)
})

test('uploads stay as long as what they became, and documents always', async () => {
  await using world = await retentionWorld()
  const kept = await world.put('kept', tree('kept'))
  const lost = await ingestNar(inPieces(narOf(tree('lost')), [9999]), world.castore, call)
  const file = { fileSize: 5, fileSha256: new Uint8Array(32) }
  const [blob, other] = await world.castore.blobs.putSmall([noise(50), noise(51)], call)
  const upload = (fields: typeof lost, keep: typeof blob) => ({
    nar: { ...fields, compression: 'xz' },
    file: { ...file, kept: keep },
  })
  const [a, b] = [upload(kept, blob), upload(lost, other)]
  await world.uploads.put('kept.nar.xz', a.nar, call, a.file)
  await world.uploads.put('lost.nar.xz', b.nar, call, b.file)
  await world.documents.putSmall('log', 'a.drv', noise(5000, 'log'), call)
  await collectGarbage(world, NOW, call)
  expect(await world.uploads.getFile('kept.nar.xz', call)).toBeDefined()
  expect(await world.uploads.getFile('lost.nar.xz', call)).toBeUndefined()
  const [here, gone] = await world.castore.blobs.layouts([blob!, other!], call)
  expect([here === undefined, gone === undefined]).toEqual([false, true])
  expect(await world.documents.open('log', 'a.drv', call)).toBeDefined()
  expect(world.keeper.totals('uploaded-nar').records).toBe(1)
})

test('whatever comes and goes at the same time, what is held is whole', {
  timeout: 60_000,
}, async () => {
  const anySteps = fc.array(fc.tuple(fc.nat(5), fc.boolean(), fc.nat(3)), {
    minLength: 4,
    maxLength: 12,
  })
  await fc.assert(
    fc.asyncProperty(anySteps, async (steps) => {
      await using world = await retentionWorld()
      const held = new Set<string>()
      for (const [which, isPut, limit] of steps) {
        const name = `path-${which}`
        const maxBytes = [0, MIB, 3 * MIB, Infinity][limit]!
        const collecting = collectGarbage(world, { ...NOW, maxBytes }, call)
        if (isPut) {
          using _lease = world.leases.begin()
          await world.put(name, tree(`${which % 3}`, `shared ${which % 2}`))
          held.add(name)
        }
        await collecting
        await world.clock.pass(1000)
        for (const it of held) {
          const isHeld = (await world.pathInfos.get(pathNamed(it).hash, call)) !== undefined
          if (isHeld) expect(await world.isWhole(it), it).toBe(true)
        }
      }
    }),
    { numRuns: 15 },
  )
})
