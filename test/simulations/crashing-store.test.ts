import { expect, test } from 'vitest'
import {
  replayOf,
  runCrashingStore,
  storeWorld,
} from '../../simulations/scenarios/crashing-store.ts'

/** How many worlds each run of the tests goes through; `npm run simulate` takes any number. */
const SEEDS = 24

test('after any crash what was acknowledged is there, and nothing unproven', {
  timeout: 120_000,
}, async () => {
  let stops = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const fate = await runCrashingStore(storeWorld(seed))
    expect(fate.violations, replayOf(seed)).toEqual([])
    stops += fate.stops.length
  }
  expect(stops).toBeGreaterThan(2 * SEEDS)
})
