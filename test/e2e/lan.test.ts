import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { changedChunkBytes, makeBlob, makeClosure, makeNextVersion } from './lan/content.ts'
import { labMissing } from './lan/lan.ts'
import { linkSeconds, race } from './lan/race.ts'
import { boundSeconds } from './lan/report.ts'
import { plantedWorld } from './lan/scenarios/at-once.ts'

const MIB = 1024 * 1024

const OPTIONS = { nodes: 4, megabits: 50, mib: 8, runs: 1 }

/** How often the content may leave the seed though three fetch it: they have it from each other. */
const SEED_COPIES_MAX = 2

const skipped = labMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

const namespaces = (): string[] =>
  spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.startsWith(`cairn-${process.pid}-`))

test.skipIf(skipped)(`nodes on a LAN of slow links all get the right bytes${why}`, async () => {
  {
    await using planted = await plantedWorld(OPTIONS, makeBlob)
    const { world, content } = planted
    const { wrong, ownSeconds, seedSentBytes, receivedBytes } = await race(world, planted)
    expect(wrong).toEqual([])
    expect(ownSeconds).toHaveLength(OPTIONS.nodes - 1)
    expect(receivedBytes).toBeGreaterThan((OPTIONS.nodes - 1) * content.bytes)
    expect(seedSentBytes).toBeGreaterThan(content.bytes)
    expect(seedSentBytes).toBeLessThan(SEED_COPIES_MAX * content.bytes)
  }
  expect(namespaces()).toEqual([])
})

test('the bound is one crossing of a link, and a piece more for each doubling', () => {
  const content = { bytes: 64 * MIB }
  const t = linkSeconds(content.bytes, { megabits: 50 })
  expect(t).toBeCloseTo(10.737, 3)
  expect(boundSeconds(content, { nodes: 8, megabits: 50 })).toBeCloseTo(t * (1 + 3 / 256), 6)
  expect(boundSeconds(content, { nodes: 10, megabits: 50 })).toBeCloseTo(t * (1 + 3 / 256), 6)
})

test('of a next version, what changed is told apart from what stayed', async () => {
  await using directory = await temporaryDirectory()
  const first = await makeClosure(join(directory.path, 'first'), 4 * MIB)
  const second = await makeNextVersion(first, join(directory.path, 'second'))
  expect(second.narSha256).not.toBe(first.narSha256)
  expect(await changedChunkBytes(first, first)).toBe(0)
  const changed = await changedChunkBytes(first, second)
  expect(changed).toBeGreaterThan(0.05 * first.bytes)
  expect(changed).toBeLessThan(first.bytes)
})
