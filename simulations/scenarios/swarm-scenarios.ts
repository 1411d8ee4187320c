import { boundOf } from '../checkers/swarm-checks.ts'
import type { Line, Report } from '../report/report.ts'
import {
  runSwarm,
  SWARM_DEFAULTS,
  type SwarmFate,
  type SwarmOptions,
} from '../world/swarm-world.ts'
import type { Scenario, ScenarioOptions } from './scenario.ts'

/** With more nodes than these nobody knows them all, and shares of lines are not exact. */
const SMALL_NODES = 32

/** How many links each node of a large world has, about. */
const DEGREE = 10

/** How far off shares of lines may be in large worlds. */
const TOLERANCE = 0.01

/**
 * What a node of the LAN lab takes to begin an answer, fitted: its processes take 12 ms of processor
 * time for each piece that is sent and taken in, on two cores that eight of them and others share.
 */
export const LAB_REQUEST_MS = 30

/** One world of a scenario, by its name. */
export interface NamedWorld {
  readonly name: string
  readonly options: Partial<SwarmOptions>
}

const LAN: Scenario = {
  what: '8 nodes on a LAN, as test/e2e/lan has them: how well the world agrees with processes',
  run: (options) =>
    answer(
      'A LAN of 8 nodes',
      options,
      () => [
        { name: 'ideal', options: { overhead: 1, requestMs: 0, latencyMs: 0.1 } },
        { name: 'machines of their own', options: {} },
        { name: 'the lab', options: { requestMs: LAB_REQUEST_MS } },
      ],
      [8],
    ),
}

const SPREAD: Scenario = {
  what: 'all begin at once, each with about ten links; so has the origin',
  run: (options) =>
    answer(
      'All at once, few links',
      options,
      (nodes) => [{ name: 'linked', options: { nodes } }],
      [50],
    ),
}

const KNOWN: Scenario = {
  what: 'the same, but all have found the origin by the DHT, and can ask it',
  run: (options) =>
    answer(
      'All at once, the origin known to all',
      options,
      (nodes) => [{ name: 'known to all', options: { nodes, named: 1 } }],
      [50],
    ),
}

const FLASH: Scenario = {
  what: 'all begin within five seconds',
  run: (options) =>
    answer(
      'A flash crowd',
      options,
      (nodes) => [
        { name: 'within 5 s, linked', options: { nodes, arrivalMs: 5_000 } },
        { name: 'within 5 s, known', options: { nodes, arrivalMs: 5_000, named: 3 } },
      ],
      [100],
    ),
}

const ROLLING: Scenario = {
  what: 'they begin one after another, over ten times what one copy takes',
  run: (options) =>
    answer(
      'A rolling deploy',
      options,
      (nodes) => [{ name: 'within 107 s', options: { nodes, arrivalMs: 107_000, named: 3 } }],
      [100],
    ),
}

const CHURN: Scenario = {
  what: 'a fifth of the nodes die at some time, and come back after three seconds',
  run: (options) =>
    answer(
      'Churn',
      options,
      (nodes) => [
        { name: 'nobody dies', options: { nodes } },
        { name: '20 % die', options: { nodes, churnRate: 200 } },
      ],
      [100],
    ),
}

const LIARS: Scenario = {
  what: 'for nine honest nodes one more that says it has everything, and gives wrong bytes',
  run: (options) =>
    answer(
      'Liars',
      options,
      (nodes) => [
        { name: 'honest', options: { nodes } },
        { name: '10 % liars', options: { nodes, liars: Math.ceil(nodes / 9) } },
      ],
      [100],
    ),
}

const SLOW: Scenario = {
  what: 'a tenth has lines of a tenth; and a tenth more says it has everything, and is silent',
  run: (options) =>
    answer(
      'Stragglers and black holes',
      options,
      (nodes) => [
        { name: 'all alike', options: { nodes } },
        { name: 'slow', options: { nodes, stragglers: Math.ceil(nodes / 10) } },
        {
          name: 'silent',
          options: { nodes, blackHoles: Math.ceil(nodes / 10) },
        },
      ],
      [50],
    ),
}

/** The scenarios in which nodes fetch, by name. */
export const SWARM_SCENARIOS: Readonly<Record<string, Scenario>> = {
  ...{
    lan: LAN,
    spread: SPREAD,
    'spread-known': KNOWN,
    'flash-crowd': FLASH,
    'rolling-deploy': ROLLING,
  },
  ...{ churn: CHURN, liars: LIARS, slow: SLOW },
}

const COLUMNS = [
  ...['nodes', 'world', 'seed', 'bound', 'makespan', 'over the bound', 'slowest of its own'],
  ...['origin gave', 'in vain', 'bans', 'gave up'],
]

async function answer(
  title: string,
  { seed, nodes }: ScenarioOptions,
  worldsFor: (nodes: number) => readonly NamedWorld[],
  sizes: readonly number[],
): Promise<Report> {
  const rows: string[][] = []
  const lines: Line[] = []
  const violations: string[] = []
  for (const size of nodes ?? sizes) {
    for (const { name, options } of worldsFor(size)) {
      const world = { ...SWARM_DEFAULTS, ...sizedFor(size), ...options, seed }
      const fate = await runSwarm(world)
      rows.push(rowOf(world, name, fate))
      lines.push({ name: `${size}, ${name}`, points: completionOf(fate) })
      violations.push(...fate.violations.map((it) => `${size}, ${name}: ${it}`))
    }
  }
  const chart = { x: 'time in T: what one copy takes over one line', y: '% complete', lines }
  return { title: `${title}, seed ${seed}`, columns: COLUMNS, rows, chart, violations }
}

/** What a world of so many nodes is like. */
export function sizedFor(nodes: number): Partial<SwarmOptions> {
  return nodes <= SMALL_NODES ? { nodes } : { nodes, degree: DEGREE, tolerance: TOLERANCE }
}

/** When the last one had everything, in copies' times, from when the first one began. */
export function makespanOf({ fetches, copyMs }: SwarmFate): number {
  const beginMs = Math.min(...fetches.map((it) => it.beginMs))
  return (Math.max(...fetches.map(endOf)) - beginMs) / copyMs
}

function rowOf({ nodes, pieces, seed }: SwarmOptions, name: string, fate: SwarmFate): string[] {
  const bound = boundOf(nodes - 1, pieces)
  const makespan = makespanOf(fate)
  const slowest = Math.max(...fate.fetches.map((it) => endOf(it) - it.beginMs)) / fate.copyMs
  return [
    ...[String(nodes), name, String(seed), `${bound.toFixed(2)} T`, `${makespan.toFixed(2)} T`],
    ...[(makespan / bound).toFixed(2), `${slowest.toFixed(2)} T`, fate.originCopies.toFixed(2)],
    ...[
      `${(100 * Math.max(0, fate.wastedShare)).toFixed(1)} %`,
      String(fate.bans),
      String(fate.failures),
    ],
  ]
}

function endOf({ endMs }: { readonly endMs: number | undefined }): number {
  return endMs ?? Number.POSITIVE_INFINITY
}

function completionOf({ fetches, copyMs }: SwarmFate): [number, number][] {
  const ends = fetches.flatMap(({ endMs }) => (endMs === undefined ? [] : [endMs / copyMs]))
  ends.sort((a, b) => a - b)
  const points = ends.map((end, i): [number, number] => [end, (100 * (i + 1)) / fetches.length])
  return [[0, 0], ...points.slice(0, 1).map(([x]): [number, number] => [x, 0]), ...points]
}
