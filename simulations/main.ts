/*
 * npm run simulate [-- SCENARIO… --seed N]: worlds that follow from a seed. Without a scenario's name,
 * stores that crash on faulty disks.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { svgOf } from './report/chart.ts'
import { tableOf } from './report/report.ts'
import { replayOf, runCrashingStore, storeWorld } from './scenarios/crashing-store.ts'
import { SCENARIOS } from './scenarios/scenarios.ts'

/** How many seeds of crashing stores are run where nobody says it. */
const STORE_SEEDS = 100

const HELP = `Usage: npm run simulate [-- SCENARIO… [options]]

Runs worlds that follow from a seed: the same seed gives the same table and the same chart. Without
a scenario's name it is \`store\`.

Scenarios:
${Object.entries(SCENARIOS)
  .map(([name, { what }]) => `  ${name.padEnd(15)} ${what}`)
  .join('\n')}
  store           stores crash on faulty disks, and are read back

Options:
  --seed N        the seed, or the first of several (default: 1)
  --seeds COUNT   how many seeds, one after another (default: 1; of store: ${STORE_SEEDS})
  --nodes N,…     how many nodes there are; one world for each number
  --out DIR       where charts go (default: the temporary directory)
  --help

Examples:
  npm run simulate -- lan
  npm run simulate -- spread --nodes 50,500 --seed 7 --out charts
  npm run simulate -- churn liars --seeds 5
  npm run simulate -- --seeds 5000          5000 seeds of store
  npm run simulate -- store --seed 42       one seed of store, told in full

Exit codes: 0 where all was as it has to be, 1 where it was not, 2 where the arguments are wrong.`

interface Command {
  readonly names: readonly string[]
  readonly seed: number | undefined
  readonly seeds: number | undefined
  readonly nodes: readonly number[] | undefined
  readonly out: string
}

/** @throws Error with words for who gave the arguments */
function commandOf(args: readonly string[]): Command | 'help' {
  const word = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { seed: word, seeds: word, nodes: word, out: word, help: { type: 'boolean' } },
  })
  if (values.help === true) return 'help'
  const unknown = positionals.filter((name) => name !== 'store' && !(name in SCENARIOS))
  if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(', ')}`)
  const { seed, seeds, nodes, out = tmpdir() } = values
  return {
    names: positionals.length > 0 ? positionals : ['store'],
    seed: seed === undefined ? undefined : count('--seed', seed, 0),
    seeds: seeds === undefined ? undefined : count('--seeds', seeds, 1),
    nodes: nodes?.split(',').map((it) => count('--nodes', it, 2)),
    out,
  }
}

function count(name: string, text: string, least: number): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= least) return number
  throw new Error(`${name} is to be a whole number from ${least} on, not ${text}`)
}

async function runStores({ seed, seeds }: Command): Promise<boolean> {
  const first = seed ?? 1
  const all = seeds ?? (seed === undefined ? STORE_SEEDS : 1)
  const sums = { operations: 0, stops: 0, failures: 0 }
  for (let one = first; one < first + all; one++) {
    const world = storeWorld(one)
    const fate = await runCrashingStore(world)
    sums.operations += fate.operations
    sums.stops += fate.stops.length
    if (all === 1) console.log(JSON.stringify({ ...world, ...fate }, undefined, 2))
    if (fate.violations.length === 0) continue
    sums.failures++
    console.log(replayOf(one))
    for (const violation of fate.violations.slice(0, 5)) console.log(`  ${violation}`)
  }
  const { operations, stops, failures } = sums
  const words = `${stops} stops, ${operations} operations of the disk, ${failures} failed`
  console.log(`${all} seeds, ${words}`)
  return failures === 0
}

async function runScenario(name: string, command: Command): Promise<boolean> {
  const { seed: first = 1, seeds = 1, nodes, out } = command
  let isWell = true
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await SCENARIOS[name]!.run({ seed, ...(nodes && { nodes }) })
    console.log(tableOf(report))
    isWell &&= report.violations.length === 0
    const svg = svgOf(report)
    if (svg === undefined) continue
    mkdirSync(out, { recursive: true })
    const path = join(out, `${name}-${seed}.svg`)
    writeFileSync(path, svg)
    console.log(`chart: ${path}\n`)
  }
  return isWell
}

async function main(args: readonly string[]): Promise<number> {
  let command: Command | 'help'
  try {
    command = commandOf(args)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return 2
  }
  if (command === 'help') {
    console.log(HELP)
    return 0
  }
  let isWell = true
  for (const name of command.names) {
    const run = name === 'store' ? runStores(command) : runScenario(name, command)
    isWell = (await run) && isWell
  }
  return isWell ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
