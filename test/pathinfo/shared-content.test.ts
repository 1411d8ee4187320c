import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EMPTY_BLOB } from '../../src/castore/blob-store.ts'
import type { Directory } from '../../src/castore/model/directory.ts'
import { DirectoryNode, FileNode, SymlinkNode } from '../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { MARKED_LEVELS_MAX, MARKS_GATHERED_MAX } from '../../src/pathinfo/closure-marker.ts'
import { NamePattern } from '../../src/pathinfo/name-pattern.ts'
import {
  GONE_MS,
  MARKED_MS,
  SharedContent,
  WAITING_WALKS_MAX,
} from '../../src/pathinfo/shared-content.ts'
import { LevelShareMarks } from '../../src/pathinfo/stores/level-share-marks.ts'
import { MemoryShareMarks } from '../../src/pathinfo/stores/memory-share-marks.ts'
import { until } from '../fixtures/await-peers.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { nodeOf } from '../fixtures/directories.ts'
import { sharingWorld } from '../fixtures/sharing-world.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { manualClock, outcomeOf, settled } from '../foundation/manual-clock.ts'

test('all that a shared path reaches can be read, and nothing else', async () => {
  await using world = await sharingWorld()
  const { shared, castore, file, directory, put } = world
  const [small, large, secret] = [
    await file('small'),
    await file(noise(2_000_000)),
    await file('x'),
  ]
  const inner = await directory({ large, link: new SymlinkNode(Buffer.from('large')) })
  const root = await directory({ inner: nodeOf(inner), small })
  const hidden = await directory({ inner: nodeOf(inner), secret })
  const pathInfo = await put('shared', nodeOf(root))
  const own = await put('private', nodeOf(hidden), false)
  expect(await shared.tells(pathInfo, call)).toBe(true)
  await world.caughtUp()
  expect(await shared.tells(own, call)).toBe(false)
  const [layout] = await castore.blobs.layouts([large.digest], call)
  expect(layout!.length).toBeGreaterThan(2)
  for (const { digest } of [small, large, ...layout!]) expect(shared.reachesBlob(digest)).toBe(true)
  for (const { digest } of [inner, root]) expect(shared.reachesDirectory(digest)).toBe(true)
  expect(shared.reachesBlob(EMPTY_BLOB)).toBe(true)
  expect(shared.reachesBlob(secret.digest)).toBe(false)
  expect(shared.reachesDirectory(hidden.digest)).toBe(false)
  // A digest is one of a Directory or of a blob, even where a file holds what a Directory does.
  expect(shared.reachesBlob(root.digest)).toBe(false)
  expect(shared.reachesDirectory(small.digest)).toBe(false)
})

test('what is put in can be had once it is said to be offered, however long that takes', async () => {
  const clock = manualClock() // nobody’s patience ends
  await using world = await sharingWorld({ clock })
  const files: Record<string, FileNode> = {}
  const contents = Array.from({ length: 3 * MARKS_GATHERED_MAX }, (_, i) => Buffer.from(`${i}`))
  for (const [i, digest] of (await world.castore.blobs.putSmall(contents, call)).entries()) {
    files[`f${i}`] = new FileNode(digest, contents[i]!.length, false)
  }
  const root = await world.directory(files)
  await world.shared.offered(await world.put('large', nodeOf(root)), call)
  expect(world.shared.reachesDirectory(root.digest)).toBe(true)
  const own = await world.put('own', await world.file('own'), false)
  await world.shared.offered(own, call)
  const broken = await world.put('broken', new DirectoryNode(Digest.of(noise(32)), 1))
  await world.shared.offered(broken, call)
  await world.shared.stop()
  await world.shared.offered(broken, call)
})

test('a file or a symlink may be a root', async () => {
  await using world = await sharingWorld()
  const { shared, put } = world
  const file = await world.file(noise(1_000_000))
  expect(await shared.tells(await put('file', file), call)).toBe(true)
  expect(shared.reachesBlob(file.digest)).toBe(true)
  const empty = await put('empty', new FileNode(EMPTY_BLOB, 0, false))
  expect(await shared.tells(empty, call)).toBe(true)
  const link = await put('link', new SymlinkNode(Buffer.from('/nowhere')))
  expect(await shared.tells(link, call)).toBe(true)
})

test('nothing counts before it has been started', async () => {
  const marks = new MemoryShareMarks()
  const world = await sharingWorld({ marks })
  const file = await world.file('content')
  await world.shared.tells(await world.put('path', file), call)
  await world.shared.stop()
  expect(marks.generationOf('blob', file.digest.bytes)).toBe(1)
  const later = new SharedContent({ marks } as never)
  expect(later.reachesBlob(file.digest)).toBe(false)
})

test('a path of which part is not held is not told of, and harms no other', async () => {
  await using world = await sharingWorld()
  const { shared, put, directory } = world
  const content = noise(7, 'late')
  const gone = new FileNode(Digest.ofContent(content), 7, false)
  const file = await world.file('here')
  const below = await directory({ file })
  const rotten = await directory({ below: nodeOf(below), gone })
  const late = await put('late', nodeOf(rotten))
  expect(await shared.tells(late, call)).toBe(false)
  const nowhere = new DirectoryNode(Digest.of(noise(32, 'd')), 1)
  expect(await shared.tells(await put('nowhere', nowhere), call)).toBe(false)
  expect(shared.reachesDirectory(rotten.digest)).toBe(false)
  expect(await shared.tells(await put('whole', nodeOf(below)), call)).toBe(true)
  await world.castore.blobs.putSmall([content], call)
  expect(await shared.tells(late, call)).toBe(true)
})

test('below a marked Directory all is marked, wherever a walk is cut off', async () => {
  const marks = new MemoryShareMarks()
  let left = 2
  const { mark } = marks
  marks.mark = async (given, generation) => {
    if (left-- <= 0) throw new Error('the disk is full')
    await mark.call(marks, given, generation)
  }
  const world = await sharingWorld({ marks })
  const { shared, directory } = world
  const groups: Directory[] = []
  for (let group = 0; group < 5; group++) {
    const files: Record<string, FileNode> = {}
    const contents = Array.from({ length: MARKS_GATHERED_MAX / 2 }, (_, i) =>
      Buffer.from(`${group} ${i}`),
    )
    const digests = await world.castore.blobs.putSmall(contents, call)
    for (const [i, digest] of digests.entries()) {
      files[`${i}`] = new FileNode(digest, contents[i]!.length, false)
    }
    groups.push(await directory(files))
  }
  const root = await directory(Object.fromEntries(groups.map((it, i) => [`g${i}`, nodeOf(it)])))
  const pathInfo = await world.put('large', nodeOf(root))
  await world.caughtUp()
  const check = (): number[] =>
    groups.flatMap((group, i) => {
      if (!shared.reachesDirectory(group.digest)) return []
      for (const { node } of group.entries) {
        expect(shared.reachesBlob((node as FileNode).digest)).toBe(true)
      }
      return [i]
    })
  expect(check()).not.toHaveLength(0)
  expect(check()).not.toHaveLength(5)
  expect(shared.reachesDirectory(root.digest)).toBe(false)
  left = Number.POSITIVE_INFINITY
  expect(await shared.tells(pathInfo, call)).toBe(true)
  expect(check()).toHaveLength(5)
  await shared.stop()
})

test('a chain of more levels than any NAR has is not walked', async () => {
  await using world = await sharingWorld()
  let top = await world.directory({ file: await world.file('deep') })
  for (let i = 1; i < MARKED_LEVELS_MAX; i++) top = await world.directory({ d: nodeOf(top) })
  expect(await world.shared.tells(await world.put('deep', nodeOf(top)), call)).toBe(true)
  // A chain of its own: of the other, everything is marked by now.
  let deeper = await world.directory({ file: await world.file('deeper') })
  for (let i = 0; i < MARKED_LEVELS_MAX; i++) deeper = await world.directory({ e: nodeOf(deeper) })
  expect(await world.shared.tells(await world.put('deeper', nodeOf(deeper)), call)).toBe(false)
})

test('Directories that refer to each other twice over are read once', async () => {
  let reads = 0
  const world = await sharingWorld({
    around: (castore) => ({
      ...castore,
      directories: Object.assign(Object.create(castore.directories), {
        get: (digest: Digest) => {
          reads++
          return castore.directories.get(digest, call)
        },
      }),
    }),
  })
  let top = await world.directory({ file: await world.file('content') })
  for (let i = 0; i < 40; i++) top = await world.directory({ a: nodeOf(top), b: nodeOf(top) })
  expect(await world.shared.tells(await world.put('wide', nodeOf(top)), call)).toBe(true)
  expect(reads).toBeLessThanOrEqual(2 * 41)
  reads = 0
  const above = await world.directory({ same: nodeOf(top) })
  expect(await world.shared.tells(await world.put('again', nodeOf(above)), call)).toBe(true)
  expect(reads).toBe(1)
  await world.shared.stop()
})

test('what is taken back is not readable any more, what others reach is again', async () => {
  await using world = await sharingWorld()
  const { shared, sharing, put } = world
  const [common, own] = [await world.file('common'), await world.file('own')]
  const one = await put('one', nodeOf(await world.directory({ common, own })))
  const other = await put('other', nodeOf(await world.directory({ common })))
  for (const it of [one, other]) expect(await shared.tells(it, call)).toBe(true)
  await sharing.choose([one.storePath], false, call)
  expect(shared.reachesBlob(own.digest)).toBe(false)
  expect(await shared.tells(one, call)).toBe(false)
  expect(await shared.tells(other, call)).toBe(true)
  await world.caughtUp()
  expect(shared.reachesBlob(common.digest)).toBe(true)
  expect(shared.reachesBlob(own.digest)).toBe(false)
  await sharing.choose([one.storePath], true, call)
  expect(await shared.tells(one, call)).toBe(true)
  expect(shared.reachesBlob(own.digest)).toBe(true)
})

test('an unsigned path is shared where its owner wants it so', async () => {
  await using world = await sharingWorld()
  const file = await world.file('own')
  const own = await world.put('own', file, false)
  await world.caughtUp()
  expect(world.shared.reachesBlob(file.digest)).toBe(false)
  await world.sharing.choose([own.storePath], true, call)
  expect(await world.shared.tells(own, call)).toBe(true)
  expect(world.shared.reachesBlob(file.digest)).toBe(true)
})

test('the owner decides about what is held, or is told that it is not', async () => {
  await using world = await sharingWorld()
  const own = await world.put('own', await world.file('own'), false)
  const choosing = world.sharing.choose([own.storePath, pathNamed('absent')], true, call)
  await expect(choosing).rejects.toMatchObject({ fault: { code: 'not-held' } })
  expect(world.shared.shares(own)).toBe(false)
})

test('what only a removed path reached is not readable a while later; meanwhile all else is', async () => {
  const clock = manualClock()
  await using world = await sharingWorld({ clock })
  const { shared, pathInfos } = world
  const [common, own] = [await world.file('common'), await world.file('own')]
  const one = await world.put('one', nodeOf(await world.directory({ common, own })))
  const other = await world.put('other', nodeOf(await world.directory({ common })))
  await world.caughtUp()
  await pathInfos.remove([one.storePath.hash], call)
  await world.caughtUp()
  expect(await shared.tells(other, call)).toBe(true)
  const seen: boolean[] = []
  const { mark } = world.marks
  world.marks.mark = async (...given) => {
    seen.push(shared.reachesBlob(common.digest))
    await mark.apply(world.marks, given)
  }
  await clock.pass(GONE_MS)
  await world.caughtUp()
  expect(seen).not.toHaveLength(0)
  expect(seen).not.toContain(false)
  expect(shared.reachesBlob(own.digest)).toBe(false)
  expect(shared.reachesBlob(common.digest)).toBe(true)
  expect(world.marks.generationOf('blob', own.digest.bytes)).toBe(0)
})

test('what a path was before it was put anew is not readable a while later', async () => {
  const clock = manualClock()
  await using world = await sharingWorld({ clock })
  const [before, after] = [await world.file('before'), await world.file('after')]
  await world.put('path', before)
  await world.caughtUp()
  await world.put('path', after)
  await world.caughtUp()
  expect(world.shared.reachesBlob(after.digest)).toBe(true)
  await clock.pass(GONE_MS)
  await world.caughtUp()
  expect(world.shared.reachesBlob(before.digest)).toBe(false)
  expect(world.shared.reachesBlob(after.digest)).toBe(true)
})

test('more paths than can wait are found all the same', async () => {
  const clock = manualClock()
  await using world = await sharingWorld({ clock })
  const claims = Array.from({ length: WAITING_WALKS_MAX + 10 }, (_, i) =>
    ownClaim(pathInfoOf(`p${i}`, { node: new SymlinkNode(Buffer.from('x')) })),
  )
  const file = await world.file('last')
  await world.pathInfos.put(claims, call)
  const last = await world.put('last', file)
  await world.caughtUp()
  await clock.pass(GONE_MS)
  await world.caughtUp()
  expect(await world.shared.tells(last, call)).toBe(true)
})

test('who asks for what is long in the walking waits no longer than a moment, and nobody after', async () => {
  const clock = manualClock()
  const stuck = Promise.withResolvers<undefined>()
  const world = await sharingWorld({
    clock,
    around: (castore) => ({
      ...castore,
      directories: Object.assign(Object.create(castore.directories), { get: () => stuck.promise }),
    }),
  })
  const { shared } = world
  const one = await world.put('one', nodeOf(await world.directory({})))
  const asking = shared.tells(one, call)
  expect(await outcomeOf(asking)).toBe('pending')
  await clock.pass(MARKED_MS)
  expect(await asking).toBe(false)
  expect(await shared.tells(one, call)).toBe(false) // at once
  stuck.resolve(undefined)
  await shared.stop()
})

const deny = [NamePattern.parse('denied*')!]

test.each([
  ['nothing was changed', {}, [true, true, false], 0],
  ['all is shared', { mode: 'all' }, [true, true, true], 1],
  ['nothing is shared', { mode: 'none' }, [false, false, false], 1],
  ['a name is denied', { deny }, [true, false, false], 1],
] as const)('after a restart where %s', async (_, rules, expected, newGenerations) => {
  await using directory = await temporaryDirectory()
  const records = new MemoryRecordStore()
  const open = () => LevelShareMarks.open(join(directory.path, 'shared'), silentLog)
  const files: FileNode[] = []
  const marks = await open()
  {
    await using world = await sharingWorld({ records, marks })
    for (const name of ['signed', 'denied', 'own']) {
      const file = await world.file(name)
      files.push(file)
      await world.put(name, file, name !== 'own')
    }
    await world.caughtUp()
  }
  const again = await open()
  await using world = await sharingWorld({ records, marks: again, rules })
  // At once, nothing is readable that is not to be.
  for (const [i, { digest }] of files.entries()) {
    if (!expected[i]) expect(world.shared.reachesBlob(digest)).toBe(false)
  }
  await world.caughtUp()
  expect(files.map(({ digest }) => world.shared.reachesBlob(digest))).toEqual(expected)
  expect((await again.state())!.generation).toBe(1 + newGenerations)
})

test('what was put right before a crash is found after it', async () => {
  const records = new MemoryRecordStore()
  const marks = new MemoryShareMarks()
  {
    await using world = await sharingWorld({ records, marks })
    await world.put('first', await world.file('first'))
    await world.caughtUp()
  }
  const state = (await marks.state())!
  expect(state.isClosed).toBe(true)
  const file = await (async () => {
    await using world = await sharingWorld({ records })
    const made = await world.file('second')
    await world.put('second', made)
    return made
  })()
  await marks.setState({ ...state, isClosed: false })
  await using world = await sharingWorld({ records, marks })
  await until(() => world.shared.reachesBlob(file.digest))
  await world.caughtUp()
  expect((await marks.state())!).toMatchObject({ generation: 2, floor: 2, isClosed: false })
})

test('it stops in the middle of a walk', async () => {
  const world = await sharingWorld({
    around: (castore) => ({
      ...castore,
      directories: Object.assign(Object.create(castore.directories), {
        get: async (digest: Digest, { signal }: typeof call) => {
          await new Promise((_, reject) => signal.addEventListener('abort', reject))
          return await castore.directories.get(digest, call)
        },
      }),
    }),
  })
  await world.put('path', nodeOf(await world.directory({})))
  await settled()
  expect(world.shared.progress.waiting).toBe(1)
  await world.shared.stop()
})
