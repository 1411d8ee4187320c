import { expect, test } from 'vitest'
import { PathUses, USE_STEP_MS, WRITE_DOWN_MS } from '../../src/retention/path-uses.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { settled } from '../foundation/manual-clock.ts'
import { file } from '../nar/trees.ts'
import { retentionWorld } from './retention-world.ts'

const hash = pathNamed('a').hash

test('uses survive a restart, a crash costs no more than a minute of them', async () => {
  await using world = await retentionWorld()
  const open = () => new PathUses({ ...world, records: world.keeper })
  const uses = open()
  await uses.start()
  uses.used(hash)
  const firstMs = world.clock.now()
  expect(await uses.lastUses([hash, pathNamed('b').hash], call)).toEqual([firstMs, 0])
  expect(await open().lastUses([hash], call)).toEqual([0])
  await world.clock.pass(WRITE_DOWN_MS)
  while ((await open().lastUses([hash], call))[0] === 0) await settled()
  expect(await open().lastUses([hash], call)).toEqual([firstMs])
  await world.clock.pass(USE_STEP_MS)
  uses.used(hash)
  await uses.stop()
  expect(await open().lastUses([hash], call)).toEqual([world.clock.now()])
})

test('a path that comes is in use, and one that is used all the time is not written each time', async () => {
  await using world = await retentionWorld()
  const uses = new PathUses({ ...world, records: world.keeper })
  await uses.start()
  const { storePath } = await world.put('a', file('content'))
  while ((await uses.lastUses([storePath.hash], call))[0] === 0) await settled()
  await uses.writeDown(call)
  const { storedBytes } = world.keeper.totals('use')
  const disk = await world.keeper.diskBytes(call)
  for (let i = 0; i < 10; i++) {
    await world.clock.pass(1000)
    uses.used(storePath.hash)
    await uses.writeDown(call)
  }
  expect(await world.keeper.diskBytes(call)).toBe(disk)
  expect(world.keeper.totals('use')).toMatchObject({ records: 1, storedBytes })
  await uses.stop()
})
