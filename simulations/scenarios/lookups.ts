import { seededRandom } from '../../src/foundation/random.ts'
import type { Line } from '../report/report.ts'
import { Kademlia, type TableKind } from '../world/kademlia.ts'
import type { Scenario } from './scenario.ts'

/** How many lookups the means are taken over. */
const LOOKUPS = 1_000

const SIZES = [100, 1_000, 10_000, 100_000]

/** Mean figures of lookups. */
export interface LookupFigures {
  /** Of those that found the nearest node. */
  readonly hops: number
  /** The share of lookups that found it. */
  readonly hits: number
  readonly asked: number
  /** What share of the k nearest was found. */
  readonly found: number
}

/** How far lookups go, and whether they find what they look for. */
export const LOOKUPS_SCENARIO: Scenario = {
  what: 'hops of Kademlia lookups, with the buckets of the theory and with the tables of kad-dht',
  run: async ({ seed, nodes = SIZES }) => {
    const rows: string[][] = []
    const lines: Line[] = []
    for (const kind of ['buckets', 'trie'] as const) {
      const points: [number, number][] = []
      for (const size of nodes) {
        const it = lookUpMany({ nodes: size, seed, kind, lookups: LOOKUPS })
        points.push([Math.log10(size), it.hops])
        const shares = [it.hits, it.found].map((share) => `${(100 * share).toFixed(1)} %`)
        rows.push([kind, String(size), it.hops.toFixed(2), it.asked.toFixed(1), ...shares])
      }
      lines.push({ name: kind, points })
    }
    return {
      title: `Lookups, seed ${seed}`,
      columns: ['tables', 'nodes', 'hops', 'asked', 'found the nearest', 'of the 20 nearest'],
      rows,
      chart: { x: 'nodes, as powers of ten', y: 'hops', lines },
      violations: [],
    }
  },
}

/** Means over many lookups in one network. */
export function lookUpMany(init: {
  readonly nodes: number
  readonly seed: number
  readonly kind: TableKind
  readonly lookups: number
}): LookupFigures {
  const network = new Kademlia(init)
  const random = seededRandom(init.seed + 1)
  const all = Array.from({ length: init.lookups }, () => network.lookUp(random))
  const hits = all.flatMap(({ hops }) => (hops === undefined ? [] : [hops]))
  return {
    hops: meanOf(hits),
    hits: hits.length / all.length,
    asked: meanOf(all.map(({ asked }) => asked)),
    found: meanOf(all.map(({ found }) => found)),
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
