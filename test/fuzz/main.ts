import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { seededRandom } from '../../src/foundation/random.ts'
import { Coverage } from './coverage.ts'
import { Finding, keep, poolOf, tryInput } from './fuzz-run.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { mutated } from './mutate.ts'
import { TARGETS } from './targets/targets.ts'

/** How many inputs are tried between two looks at the coverage, which costs some milliseconds. */
const BATCH = 256

const USAGE = `npm run fuzz -- NAME [--seconds N] [--seed N]

Throws mutated inputs at a decoder until one breaks it, or until it is stopped. Inputs that reach
code that none before reached are mutated on. What breaks it is kept in test/fuzz/corpus/NAME, where
npm test tries it from then on.

NAME is one of: ${TARGETS.map(({ name }) => name).join(', ')}`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean' } },
})
const target = TARGETS.find(({ name }) => name === positionals[0])
if (target === undefined || values.help === true) {
  console.log(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else {
  const seed = Number(values.seed ?? randomInt(2 ** 31))
  const seconds = Number(values.seconds ?? Number.POSITIVE_INFINITY)
  await run(target, seed, seconds).catch(async (error) => {
    if (!(error instanceof Finding)) throw error
    console.error(`\n${error.message}\nkept as ${await keep(target, error.input)}`)
    process.exitCode = 1
  })
}

async function run(target: FuzzTarget, seed: number, seconds: number): Promise<void> {
  const random = seededRandom(seed)
  const pool = await poolOf(target)
  await using coverage = await Coverage.begin()
  const until = performance.now() + seconds * 1000
  let inputs = 0
  console.log(`${target.name}: seed ${seed}, ${pool.length} inputs to begin with`)
  for (let batches = 1; performance.now() < until; batches++) {
    const batch = Array.from({ length: BATCH }, () => mutated(pool, target.dictionary, random))
    for (const input of batch) await tryInput(target, input)
    inputs += batch.length
    if (await coverage.grew()) pool.push(...(await newcomers(target, batch, coverage)))
    if (batches % 100 !== 0) continue
    console.log(`${inputs} inputs, ${coverage.blocks} blocks reached, ${pool.length} in the pool`)
  }
  console.log(`${inputs} inputs, ${coverage.blocks} blocks reached, ${pool.length} in the pool`)
}

/**
 * Which of a batch to mutate on. Each is tried again by itself; what the whole batch has reached is
 * known by now, so that only loops that run longer tell: a few of the accepted and of the longest
 * are taken where nothing tells.
 */
async function newcomers(
  target: FuzzTarget,
  batch: readonly Uint8Array[],
  coverage: Coverage,
): Promise<Uint8Array[]> {
  const found: Uint8Array[] = []
  for (const input of batch) {
    const accepted = await tryInput(target, input)
    if ((await coverage.grew()) || accepted) found.push(input)
  }
  return found.slice(0, 8)
}
