import { expect, test } from 'vitest'
import { COPIES_MAX, MAKESPAN_MAX, makespanOf } from '../../simulations/scenarios/fleet.ts'
import { type FleetOptions, runFleet } from '../../simulations/world/fleet-world.ts'

const SMALL: Partial<FleetOptions> = { nodes: 6, paths: 12, bytes: 24 * 1024 * 1024, atOnce: 6 }

test('a fleet has all in little more than the time of one copy, and little more is pulled', async () => {
  const fate = await runFleet(SMALL)
  expect(makespanOf(fate)).toBeLessThan(MAKESPAN_MAX)
  expect(fate.cacheCopies).toBeLessThan(COPIES_MAX)
  expect(fate.bans).toBe(0)
}, 30_000)

test('without sharing each node pulls a copy', async () => {
  const fate = await runFleet({ ...SMALL, shares: false })
  expect(fate.cacheCopies).toBeCloseTo(6, 1)
  expect(makespanOf(fate)).toBeGreaterThan(5.9)
}, 30_000)

test('where one who pulls dies another takes over at once, and little is pulled again', async () => {
  const fate = await runFleet({ ...SMALL, deaths: 1 })
  expect(fate.endsMs).toHaveLength(5)
  expect(fate.cacheCopies).toBeLessThan(1.6)
  expect(makespanOf(fate)).toBeLessThan(1.9)
}, 30_000)

test('the same seed has the same fate', async () => {
  expect(await runFleet({ ...SMALL, seed: 3 })).toEqual(await runFleet({ ...SMALL, seed: 3 }))
}, 30_000)
