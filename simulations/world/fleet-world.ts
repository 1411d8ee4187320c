import type { ChunkRef } from '../../src/castore/blob-store.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { type Random, seededRandom } from '../../src/foundation/random.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { PathFacts } from '../../src/pathinfo/path-facts.ts'
import { PATHS_AT_ONCE } from '../../src/substitution/closure-fetch.ts'
import { FairLinks } from './fair-links.ts'
import { FleetNode } from './fleet-node.ts'
import { lightAborts } from './light-abort.ts'
import { VirtualClock } from './virtual-clock.ts'

/** A fleet that wants one closure of which a cache behind a thin line has the only copy. */
export interface FleetOptions {
  readonly seed: number
  readonly nodes: number
  /** How many paths there are; the last but one has half of all bytes, the others the same share. */
  readonly paths: number
  readonly bytes: number
  readonly chunkBytes: number
  /** What the cache's line carries, and what each node's carries each way, in Mbit/s. */
  readonly cacheMegabits: number
  readonly megabits: number
  readonly latencyMs: number
  /** What a server takes to begin an answer, in milliseconds. */
  readonly requestMs: number
  /** What goes over the nodes' lines for a byte of content. */
  readonly overhead: number
  /** How many paths each node wants at once. */
  readonly atOnce: number
  /** Within how many milliseconds all begin, spread by chance. */
  readonly arrivalMs: number
  /** How many of the nodes are switched off for good, each while it pulls. */
  readonly deaths: number
  /** Whether they share the work; else each pulls everything by itself. */
  readonly shares: boolean
  readonly endMs: number
}

/** What is not said otherwise. */
export const FLEET_DEFAULTS: FleetOptions = {
  seed: 1,
  nodes: 8,
  paths: 60,
  bytes: 96 * 1024 * 1024,
  chunkBytes: 128 * 1024,
  cacheMegabits: 100,
  megabits: 1_000,
  latencyMs: 0.3,
  requestMs: 2,
  overhead: 1.045,
  atOnce: PATHS_AT_ONCE,
  arrivalMs: 50,
  deaths: 0,
  shares: true,
  endMs: 3_600_000,
}

/** What came of it. */
export interface FleetFate {
  /** How long one copy takes over the cache's line, in milliseconds. */
  readonly copyMs: number
  /** Of each node that was there to the end, when it had everything. */
  readonly endsMs: readonly (number | undefined)[]
  /** What left the cache, in copies. */
  readonly cacheCopies: number
  /** What the node that gave most gave, in copies. */
  readonly mostGiven: number
  /** What came when paths were whole only, in copies for each node. */
  readonly lateShare: number
  readonly bans: number
  readonly events: number
}

/** A path of the closure. */
export interface FleetPath {
  readonly facts: PathFacts
  readonly chunks: readonly ChunkRef[]
}

/** Runs a fleet to its end. The same options have the same fate. */
export async function runFleet(options: Partial<FleetOptions>): Promise<FleetFate> {
  using _light = lightAborts()
  return await new FleetWorld({ ...FLEET_DEFAULTS, ...options }).run()
}

/** The nodes, the cache, and what lies between them; the cache's line is number 0. */
export class FleetWorld {
  readonly options: FleetOptions
  readonly clock = new VirtualClock()
  readonly links: FairLinks
  readonly paths: readonly FleetPath[]
  readonly nodes: readonly FleetNode[]
  readonly random: Random
  cacheBytes = 0
  readonly #byId: ReadonlyMap<string, FleetNode>
  readonly #ends = new Map<FleetNode, number>()
  #deathsLeft: number
  #failure: unknown

  constructor(options: FleetOptions) {
    this.options = options
    this.random = seededRandom(options.seed)
    this.#deathsLeft = options.deaths
    this.links = new FairLinks(this, { tolerance: 0.001 })
    const cache = perMs(options.cacheMegabits)
    this.links.add({ up: cache, down: cache })
    const line = perMs(options.megabits)
    for (let i = 0; i < options.nodes; i++) this.links.add({ up: line, down: line })
    this.paths = pathsOf(options)
    this.nodes = Array.from({ length: options.nodes }, (_, i) => new FleetNode(this, i + 1))
    this.#byId = new Map(this.nodes.map((node) => [node.id, node]))
  }

  nodeOf(id: string): FleetNode {
    return this.#byId.get(id)!
  }

  /** A node is about to pull; says whether it dies of it, some time later. */
  pulls(node: FleetNode): void {
    if (this.#deathsLeft === 0) return
    this.#deathsLeft--
    this.clock.in(1_000, () => node.die())
  }

  async run(): Promise<FleetFate> {
    const { clock, options } = this
    for (const node of this.nodes) {
      clock.in(this.random.integer(options.arrivalMs + 1), () => {
        node.wantAll().then(
          () => this.#ends.set(node, clock.now()),
          (error) => {
            if (node.isOnline) this.#failure ??= error ?? new Error('a node broke')
          },
        )
      })
    }
    const isOver = (): boolean =>
      this.#failure !== undefined ||
      clock.now() > options.endMs ||
      this.nodes.every((node) => !node.isOnline || this.#ends.has(node))
    await clock.run(isOver)
    if (this.#failure !== undefined) throw this.#failure
    for (const node of this.nodes) node.stop()
    return this.#fate()
  }

  #fate(): FleetFate {
    const { options, nodes } = this
    const copyMs = options.bytes / perMs(options.cacheMegabits)
    const late = nodes.reduce((sum, { counts }) => sum + counts.lateBytes, 0)
    return {
      copyMs,
      endsMs: nodes.filter(({ isOnline }) => isOnline).map((node) => this.#ends.get(node)),
      cacheCopies: this.cacheBytes / options.bytes,
      mostGiven: Math.max(...nodes.map(({ counts }) => counts.givenBytes)) / options.bytes,
      lateShare: late / options.bytes / nodes.length,
      bans: nodes.reduce((sum, { ledger }) => sum + ledger.unwelcome().length, 0),
      events: this.clock.events,
    }
  }
}

function perMs(megabits: number): number {
  return (megabits * 1e6) / 8_000
}

function pathsOf({ paths, bytes, chunkBytes }: FleetOptions): FleetPath[] {
  let number = 0
  return Array.from({ length: paths }, (_, i) => {
    const share = i === paths - 2 ? bytes / 2 : bytes / 2 / (paths - 1)
    const chunks: ChunkRef[] = []
    for (let left = Math.round(share); left > 0; left -= chunkBytes) {
      chunks.push({ digest: Digest.of(name(++number, 32)), size: Math.min(left, chunkBytes) })
    }
    const storePath = StorePath.of(name(i + 1, 20), `path-${i}`)
    const narSize = Math.round(share) + 96 * chunks.length
    const facts = new PathFacts({
      ...{ storePath, narSize, narSha256: name(i, 32), references: [] },
    })
    return { facts, chunks }
  })
}

function name(number: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32BE(number)
  return bytes
}
