import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { adoptTree } from '../../src/adoption/adopt-tree.ts'
import { AdoptedBlobs } from '../../src/adoption/adopted-blobs.ts'
import { StoreFiles } from '../../src/adoption/store-files.ts'
import { decodeWhereabouts, encodeWhereabouts } from '../../src/adoption/whereabouts-codec.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../src/castore/stores/segment-record-store.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { dumpPath } from '../../src/nar/dump-path.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import { call, noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, 'empty'), { recursive: true })
  await mkdir(join(root, 'deep', 'er'), { recursive: true })
  await writeFile(join(root, 'large'), noise(3_000_000, 'large'))
  await writeFile(join(root, 'one chunk'), noise(200_000, 'one'))
  await writeFile(join(root, 'nothing'), '')
  await writeFile(join(root, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  await symlink('nowhere', join(root, 'link'))
  for (let i = 0; i < 40; i++) await writeFile(join(root, 'deep', 'er', `f${i}`), noise(i * 100, i))
  await writeFile(Buffer.concat([Buffer.from(`${root}/odd-`), Buffer.from([0xff])]), 'odd')
}

test('what is adopted is what taking in its NAR gives, and reads back in place', async () => {
  await using directory = await temporaryDirectory()
  const root = join(directory.path, 'tree')
  await makeTree(root)
  const elsewhere = new StoreFiles()
  const parts = { directory: join(directory.path, 'store'), log: silentLog, elsewhere }
  await using records = await SegmentRecordStore.open(parts)
  const castore = recordCastore({ records })
  const blobs = new AdoptedBlobs({ records })
  const adopting = { blobs, directories: castore.directories }
  const adopted = await adoptTree(adopting, Buffer.from(root), call)
  const memory = recordCastore({ records: new MemoryRecordStore() })
  const ingested = await ingestNar(dumpPath(root, call), memory, call)
  expect(adopted).toEqual(ingested)
  const { bytes, storedBytes } = records.totals('chunk')
  expect(storedBytes).toBeLessThan(bytes / 100)
  const measured = await measureNar(adopted!.node, castore, call)
  expect(measured).toEqual({ narSize: ingested.narSize, narSha256: ingested.narSha256 })
})

test('content that changed is absent, and whoever wants to know is told where', async () => {
  await using directory = await temporaryDirectory()
  const root = join(directory.path, 'file')
  await writeFile(root, noise(1000, 'before'))
  const elsewhere = new StoreFiles()
  const lost: string[] = []
  elsewhere.onLost((path) => lost.push(path.toString()))
  const parts = { directory: join(directory.path, 'store'), log: silentLog, elsewhere }
  await using records = await SegmentRecordStore.open(parts)
  const castore = recordCastore({ records })
  const adopting = { blobs: new AdoptedBlobs({ records }), directories: castore.directories }
  const adopted = await adoptTree(adopting, Buffer.from(root), call)
  if (adopted?.node.type !== 'file') throw new Error('it is a file')
  const { digest } = adopted.node
  const [before] = await castore.blobs.readChunks([digest], call)
  expect(noise(1000, 'before').equals(before!)).toBe(true)
  await writeFile(root, noise(1000, 'after'))
  expect(await castore.blobs.readChunks([digest], call)).toEqual([undefined])
  expect(lost).toEqual([root])
  await records.sync(call)
  // What is put here now counts for more than where it once was.
  await castore.blobs.putSmall([noise(1000, 'before')], call)
  const [again] = await castore.blobs.readChunks([digest], call)
  expect(noise(1000, 'before').equals(again!)).toBe(true)
})

test('what is neither a file nor a directory nor a symlink is not adopted', async () => {
  const records = new MemoryRecordStore()
  const adopting = {
    blobs: new AdoptedBlobs({ records }),
    directories: recordCastore({ records }).directories,
  }
  expect(await adoptTree(adopting, Buffer.from('/dev/null'), call)).toBeUndefined()
  await expect(adoptTree(adopting, Buffer.from('/not/there'), call)).rejects.toThrow('ENOENT')
})

test('whereabouts read back, and nothing else is taken for some', () => {
  for (const offset of [0, 1, 2 ** 40]) {
    const path = Buffer.from('/nix/store/x/\xff')
    expect(decodeWhereabouts(encodeWhereabouts({ path, offset }))).toEqual({ path, offset })
  }
  for (const bad of [
    noise(0),
    noise(8),
    encodeWhereabouts({ path: Buffer.from('relative'), offset: 0 }),
    encodeWhereabouts({ path: Buffer.from('/a\0b'), offset: 0 }),
    encodeWhereabouts({ path: Buffer.from('/a'), offset: -1 }),
    encodeWhereabouts({ path: Buffer.from('/a'), offset: 0.5 }),
    encodeWhereabouts({ path: Buffer.from('/a'), offset: Number.NaN }),
  ]) {
    expect(decodeWhereabouts(bad)).toBeUndefined()
  }
})
