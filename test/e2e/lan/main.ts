/* npm run lan [-- SCENARIO…]: nodes on a LAN whose links are shaped; a line of figures for each. */
import { parseArgs } from 'node:util'
import { type Baseline, bitTorrent, measureBaseline, nginx } from './baselines.ts'
import { labMissing } from './lan.ts'
import type { Report, Scenario } from './report.ts'
import { CONTENTS } from './scenarios/at-once.ts'
import { blob } from './scenarios/blob.ts'
import { churn } from './scenarios/churn.ts'
import { closure } from './scenarios/closure.ts'
import { fleet } from './scenarios/fleet.ts'
import { hostile } from './scenarios/hostile.ts'
import { staggered } from './scenarios/staggered.ts'
import { version } from './scenarios/version.ts'
import type { LabOptions } from './world.ts'

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  ...{ blob, closure, staggered, churn, hostile, version, fleet },
}

const BASELINES: readonly Baseline[] = [nginx, bitTorrent]

const DEFAULTS = { nodes: '8', rate: '50', mib: '64', runs: '1' }

/** The fewest nodes of which half of those that fetch can die and others go on. */
const NODES_MIN = 3

/** Room for the names before the figures. */
const NAME_WIDTH = 14

/** What a shell takes for an ending by a signal. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 }

const HELP = `Usage: npm run lan [-- SCENARIO… [options]]

Runs nodes in network namespaces on one bridge, each behind a shaped link, and prints a line of
figures for each scenario; all of them where none is named.

Scenarios:
${Object.entries(SCENARIOS)
  .map(([name, { what }]) => `  ${name.padEnd(10)} ${what}`)
  .join('\n')}

Options:
  --nodes N         nodes in all, the seed among them (default: ${DEFAULTS.nodes})
  --rate MBIT       of each link, each way, in Mbit/s (default: ${DEFAULTS.rate})
  --mib N           how much content there is, in MiB (default: ${DEFAULTS.mib})
  --runs N          how often each is run; the median counts (default: ${DEFAULTS.runs})
  --no-baselines    without nginx and BitTorrent beside blob and closure
  --help

Exit codes: 0 where all bytes were right, or all was skipped; 1 where something was wrong; 2 where
the arguments are.`

interface Command {
  readonly names: readonly string[]
  readonly options: LabOptions
  readonly withBaselines: boolean
}

/** What is to be done. @throws Error with words for who gave the arguments */
function commandOf(args: readonly string[]): Command | 'help' {
  const number = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...{ nodes: number, rate: number, mib: number, runs: number },
      'no-baselines': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const unknown = positionals.filter((name) => !(name in SCENARIOS))
  if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(', ')}`)
  const { nodes, rate, mib, runs } = { ...DEFAULTS, ...values }
  return {
    names: positionals.length > 0 ? positionals : Object.keys(SCENARIOS),
    options: {
      nodes: count('--nodes', nodes, NODES_MIN),
      megabits: count('--rate', rate, 1),
      mib: count('--mib', mib, 1),
      runs: count('--runs', runs, 1),
    },
    withBaselines: !values['no-baselines'],
  }
}

function count(flag: string, text: string, min: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min) return value
  throw new Error(`${flag} takes a whole number of at least ${min}, not ${text}`)
}

async function lab({ names, options, withBaselines }: Command): Promise<number> {
  let exitCode = 0
  const report = async (name: string, work: Promise<Report>): Promise<void> => {
    const { line, wrong } = await work.catch((error: Error) => ({
      line: 'failed',
      wrong: [error.message],
    }))
    console.log(`${name.padEnd(NAME_WIDTH)}${line}`)
    for (const what of wrong) console.log(`${' '.repeat(NAME_WIDTH)}wrong: ${what}`)
    if (wrong.length > 0) exitCode = 1
  }
  for (const name of names) {
    await report(name, SCENARIOS[name]!.run(options))
    const make = Object.entries(CONTENTS).find(([of]) => of === name)?.[1]
    if (make === undefined || !withBaselines) continue
    for (const it of BASELINES) await report(`  ${it.name}`, measureBaseline(it, options, make))
  }
  return exitCode
}

async function main(): Promise<number> {
  const command = commandOf(process.argv.slice(2))
  if (command === 'help') {
    console.log(HELP)
    return 0
  }
  const missing = labMissing()
  if (missing !== undefined) {
    console.log(`skipped: ${missing}`)
    return 0
  }
  return await lab(command)
}

// Whatever ends this process, its exit handlers end the nodes and remove the namespaces.
for (const [signal, code] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(code))

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message)
  return 2
})
