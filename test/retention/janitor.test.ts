import { expect, test } from 'vitest'
import { AGE_LOOK_MS, Janitor, LOOK_MS } from '../../src/retention/janitor.ts'
import { until } from '../fixtures/await-peers.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { settled } from '../foundation/manual-clock.ts'
import { file } from '../nar/trees.ts'
import { retentionWorld } from './retention-world.ts'

const MIB = 1024 * 1024
const NAMES = ['one', 'two', 'three', 'four']

async function filledWorld() {
  const world = await retentionWorld()
  for (const name of NAMES) {
    await world.put(name, file(noise(MIB, name)))
    await world.clock.pass(1000)
  }
  return world
}

test('a store that has outgrown its bound is brought below it, by itself', async () => {
  await using world = await filledWorld()
  const janitor = new Janitor(world, { maxBytes: 3 * MIB })
  await janitor.start()
  await settled()
  expect(world.pathInfos.count()).toBe(4)
  await world.clock.pass(LOOK_MS)
  await until(() => world.pathInfos.count() === 2)
  await janitor.stop()
  expect(await world.isWhole('four')).toBe(true)
  expect(await world.isWhole('one')).toBe(false)
})

test('paths that nobody asks for go when they are old, and are looked for now and then', async () => {
  await using world = await filledWorld()
  const janitor = new Janitor(world, { maxAgeMs: AGE_LOOK_MS / 2 })
  await janitor.start()
  await settled()
  for (let ms = 0; ms < AGE_LOOK_MS - LOOK_MS; ms += LOOK_MS) {
    await world.clock.pass(LOOK_MS)
    await settled()
  }
  expect(world.pathInfos.count()).toBe(4)
  world.uses.used(pathNamed('two').hash)
  await world.clock.pass(2 * LOOK_MS)
  await until(() => world.pathInfos.count() === 1)
  await janitor.stop()
  expect(await world.isWhole('two')).toBe(true)
})

test('one round at a time, each with what it was asked for', async () => {
  await using world = await filledWorld()
  const janitor = new Janitor(world)
  const rounds = await Promise.all([
    janitor.cleanUp({ isDryRun: true, maxBytes: 0 }, call),
    janitor.cleanUp({ maxBytes: 2.5 * MIB, youngMs: 0 }, call),
    janitor.cleanUp({}, call),
  ])
  expect(rounds.map(({ paths }) => paths.length)).toEqual([4, 2, 0])
  expect(rounds[0]!.compaction).toBeUndefined()
  expect(rounds[1]!.diskBytes).toBeGreaterThan(0)
})
