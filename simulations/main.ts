/*
 * npm run simulate [-- --seed N --seeds COUNT]: lets stores live and crash on faulty disks, each as
 * its seed says, and tells of those that did not keep what they had acknowledged. One seed by itself
 * is told of in full.
 */
import { parseArgs } from 'node:util'
import { replayOf, runCrashingStore, storeWorld } from './scenarios/crashing-store.ts'

/** How many seeds are run where nobody says it. */
const SEEDS = 100

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' } },
})
const first = Number(values.seed ?? 1)
const count = Number(values.seeds ?? (values.seed === undefined ? SEEDS : 1))
const sums = { operations: 0, stops: 0, failures: 0 }
for (let seed = first; seed < first + count; seed++) {
  const world = storeWorld(seed)
  const fate = await runCrashingStore(world)
  sums.operations += fate.operations
  sums.stops += fate.stops.length
  if (count === 1) console.log(JSON.stringify({ ...world, ...fate }, undefined, 2))
  if (fate.violations.length === 0) continue
  sums.failures++
  console.log(replayOf(seed))
  for (const violation of fate.violations.slice(0, 5)) console.log(`  ${violation}`)
}
const { operations, stops, failures } = sums
const words = `${stops} stops, ${operations} operations of the disk, ${failures} failed`
console.log(`${count} seeds, ${words}`)
process.exitCode = failures === 0 ? 0 : 1
