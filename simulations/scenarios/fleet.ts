import type { Line, Report } from '../report/report.ts'
import {
  FLEET_DEFAULTS,
  type FleetFate,
  type FleetOptions,
  runFleet,
} from '../world/fleet-world.ts'
import type { Scenario, ScenarioOptions } from './scenario.ts'

/** How long a fleet may take, in copies' times over the cache's line, and what may leave it. */
export const MAKESPAN_MAX = 1.4
export const COPIES_MAX = 1.2

const SIZES = [8, 50]

/** In fleets of more nodes than these each of them says so much that fewer worlds are run. */
const SMALL_NODES = 16

/** Worlds with the bounds that they have to keep to, if any. */
const WORLDS: readonly {
  readonly name: string
  readonly options: Partial<FleetOptions>
  readonly isBound: boolean
  /** Whether it is left out where there are many nodes. */
  readonly isSmall?: boolean
}[] = [
  { name: 'each for itself', options: { shares: false }, isBound: false },
  { name: 'shared', options: {}, isBound: true },
  {
    name: 'a line ten times thinner',
    options: { cacheMegabits: 10 },
    isBound: true,
    isSmall: true,
  },
  { name: 'lines of 200 Mbit/s', options: { megabits: 200 }, isBound: true, isSmall: true },
  { name: 'two who pull die', options: { deaths: 2 }, isBound: false },
]

/** Fleets that have nothing but a plain cache. */
export const FLEET: Scenario = {
  what: 'all want one closure at once that only a cache behind a thin line has',
  run: async ({ seed, nodes = SIZES }: ScenarioOptions): Promise<Report> => {
    const rows: string[][] = []
    const lines: Line[] = []
    const violations: string[] = []
    for (const size of nodes) {
      for (const { name, options, isBound, isSmall } of WORLDS) {
        if (isSmall === true && size > SMALL_NODES) continue
        const fate = await runFleet({ ...FLEET_DEFAULTS, ...options, nodes: size, seed })
        const makespan = makespanOf(fate)
        rows.push([
          ...[String(size), name, `${makespan.toFixed(2)} T`, fate.cacheCopies.toFixed(2)],
          ...[fate.mostGiven.toFixed(2), `${(100 * fate.lateShare).toFixed(1)} %`],
          ...[String(fate.bans), String(fate.events)],
        ])
        lines.push({ name: `${size}, ${name}`, points: completionOf(fate) })
        violations.push(...violationsOf(fate, isBound).map((it) => `${size}, ${name}: ${it}`))
      }
    }
    return {
      title: `A fleet with nothing but a cache, seed ${seed}`,
      columns: [
        ...['nodes', 'world', 'makespan', 'copies from the cache', 'most given by one'],
        ...['came when whole', 'bans', 'events'],
      ],
      rows,
      chart: { x: 'time in T: one copy over the line of the cache', y: '% complete', lines },
      violations,
    }
  },
}

/** When the last one had everything, in copies' times over the cache's line. */
export function makespanOf({ endsMs, copyMs }: FleetFate): number {
  return Math.max(...endsMs.map((it) => it ?? Number.POSITIVE_INFINITY)) / copyMs
}

function violationsOf(fate: FleetFate, isBound: boolean): string[] {
  const makespan = makespanOf(fate)
  const found: string[] = []
  if (makespan === Number.POSITIVE_INFINITY) found.push('a node has not got everything')
  if (fate.bans > 0) found.push('a node is unwelcome that did nothing wrong')
  if (!isBound) return found
  if (makespan > MAKESPAN_MAX) found.push(`${makespan.toFixed(2)} T are too long`)
  if (fate.cacheCopies > COPIES_MAX) found.push(`${fate.cacheCopies.toFixed(2)} copies`)
  return found
}

function completionOf({ endsMs, copyMs }: FleetFate): [number, number][] {
  const ends = endsMs.flatMap((it) => (it === undefined ? [] : [it / copyMs]))
  ends.sort((a, b) => a - b)
  return [[0, 0], ...ends.map((end, i): [number, number] => [end, (100 * (i + 1)) / ends.length])]
}
