import { Digest } from '../../src/foundation/digest.ts'
import { type Random, seededRandom, shuffled } from '../../src/foundation/random.ts'
import { SENDING_SLOTS } from '../../src/peers/exchange/chunk-serving.ts'
import { PieceList } from '../../src/peers/swarm/piece-list.ts'
import { SwarmChecks } from '../checkers/swarm-checks.ts'
import { FairLinks } from './fair-links.ts'
import { lightAborts } from './light-abort.ts'
import { SimNode } from './sim-node.ts'
import { VirtualClock } from './virtual-clock.ts'

/** A world in which nodes fetch one root: what happens in it follows from these. */
export interface SwarmOptions {
  readonly seed: number
  /** How many honest nodes there are, the origin among them. */
  readonly nodes: number
  readonly pieces: number
  readonly pieceBytes: number
  /** What each node's line carries each way, in Mbit/s. */
  readonly megabits: number
  readonly latencyMs: number
  /** How many others each node is linked with, about; all of them where it is left out. */
  readonly degree?: number
  /** How many who say that they have everything a node finds by the DHT when it begins. */
  readonly named: number
  /** Within how many milliseconds all begin to fetch, spread by chance. */
  readonly arrivalMs: number
  /** How many more there are that say they have everything, and give wrong bytes. */
  readonly liars: number
  /** How many more there are that say so, and never answer. */
  readonly blackHoles: number
  /** How many of the honest have a tenth of the others' lines. */
  readonly stragglers: number
  /** How many of the honest die once, in thousandths, and come back after `awayMs`. */
  readonly churnRate: number
  readonly awayMs: number
  /** What goes over the wire for a byte of content. */
  readonly overhead: number
  /** What a server takes to begin an answer, in milliseconds. */
  readonly requestMs: number
  /** The wait before a fetch that had found nobody begins again. */
  readonly retryMs: number
  /** How exact the shares of lines are; 0 is exact. */
  readonly tolerance: number
  /** To how many peers a node sends pieces at once. */
  readonly slots: number
  /** After so many milliseconds it is over, whoever has not got everything. */
  readonly endMs: number
}

/** What is not said otherwise. */
export const SWARM_DEFAULTS: SwarmOptions = {
  seed: 1,
  nodes: 8,
  pieces: 256,
  pieceBytes: 256 * 1024,
  megabits: 50,
  latencyMs: 1,
  named: 0,
  arrivalMs: 0,
  liars: 0,
  blackHoles: 0,
  stragglers: 0,
  churnRate: 0,
  awayMs: 3_000,
  overhead: 1.045,
  requestMs: 2,
  retryMs: 1_000,
  tolerance: 0,
  slots: SENDING_SLOTS,
  endMs: 3_600_000,
}

/** What came of a world. */
export interface SwarmFate {
  /** Of each honest node but the origin, when it began and when it had everything. */
  readonly fetches: readonly Fetch[]
  /** How long one copy takes over one line, in milliseconds: what the rest is measured by. */
  readonly copyMs: number
  /** What left the origin, in copies of the content, with headers. */
  readonly originCopies: number
  /** What came in vain over all lines, in copies for each who fetched. */
  readonly wastedShare: number
  /** How many pieces of news each node told, on average. */
  readonly newsPerNode: number
  readonly bans: number
  readonly failures: number
  readonly events: number
  readonly violations: readonly string[]
}

/** One node's fetch; `endMs` is undefined where it did not come to its end. */
export interface Fetch {
  readonly beginMs: number
  readonly endMs: number | undefined
}

/** Runs a world to its end. The same options have the same fate. */
export async function runSwarm(options: Partial<SwarmOptions>): Promise<SwarmFate> {
  using _light = lightAborts()
  return await new SwarmWorld({ ...SWARM_DEFAULTS, ...options }).run()
}

/** The nodes of a world, and what lies between them. */
export class SwarmWorld {
  readonly options: SwarmOptions
  readonly clock = new VirtualClock()
  readonly links: FairLinks
  readonly pieces: PieceList
  readonly nodes: readonly SimNode[]
  readonly checks: SwarmChecks
  readonly #byId = new Map<string, SimNode>()
  readonly #random: Random
  readonly #begun = new Map<SimNode, number>()
  readonly #ended = new Map<SimNode, number>()
  #left: number
  #failure: unknown

  constructor(options: SwarmOptions) {
    this.options = options
    const { clock, pieceBytes } = this
    this.links = new FairLinks({ clock }, options)
    const chunks = Array.from({ length: options.pieces }, (_, i) => {
      const name = Buffer.alloc(32)
      name.writeUInt32BE(i)
      return { digest: Digest.of(name), size: pieceBytes }
    })
    this.pieces = PieceList.of([chunks])
    this.#random = seededRandom(options.seed)
    this.checks = new SwarmChecks(this)
    this.nodes = this.#makeNodes()
    for (const node of this.nodes) this.#byId.set(node.id, node)
    this.#link()
    this.#left = options.nodes - 1
  }

  get latencyMs(): number {
    return this.options.latencyMs
  }

  get pieceBytes(): number {
    return this.options.pieceBytes
  }

  get overhead(): number {
    return this.options.overhead
  }

  get requestMs(): number {
    return this.options.requestMs
  }

  get fetchers(): SimNode[] {
    return this.nodes.filter(({ kind }) => kind === 'honest')
  }

  nodeOf(id: string): SimNode {
    return this.#byId.get(id)!
  }

  /** Who is known to have everything when a fetch begins: neighbours, and some by the DHT. */
  holdersFor(node: SimNode): SimNode[] {
    const all = this.nodes.filter((it) => it.isOnline && it !== node && it.held.isFull)
    const named = this.options.named === 0 ? [] : shuffled(all, this.#random)
    const holders = [...all.filter((it) => node.linked.has(it))]
    for (const it of named.slice(0, this.options.named)) if (!node.linked.has(it)) holders.push(it)
    return holders.filter((it) => node.ledger.standing(it.id) === 'welcome')
  }

  completed(node: SimNode): void {
    this.#ended.set(node, this.clock.now())
    this.#left--
  }

  async run(): Promise<SwarmFate> {
    const { options, clock } = this
    for (const node of this.fetchers) {
      const beginMs = options.arrivalMs === 0 ? 0 : this.#random.integer(options.arrivalMs)
      clock.in(beginMs, () => {
        this.#begun.set(node, clock.now())
        this.#start(node)
      })
      if (this.#random.integer(1000) < options.churnRate) this.#churn(node, beginMs)
    }
    await clock.run(() => this.#left === 0 || clock.now() > options.endMs || this.#isBroken)
    if (this.#isBroken) throw this.#failure
    return this.#fate()
  }

  get #isBroken(): boolean {
    return this.#failure !== undefined
  }

  #start(node: SimNode): void {
    node.fetch().catch((error) => {
      this.#failure ??= error ?? new Error('a fetch broke')
    })
  }

  #churn(node: SimNode, beginMs: number): void {
    const { awayMs } = this.options
    const diesMs = beginMs + this.#random.integer(Math.ceil(1.5 * this.#copyMs))
    this.clock.in(diesMs, () => {
      node.die()
      this.clock.in(awayMs, () => {
        node.comeBack()
        this.#start(node)
      })
    })
  }

  #makeNodes(): SimNode[] {
    const { nodes, liars, blackHoles, stragglers, megabits } = this.options
    const bytesPerMs = (megabits * 1e6) / 8000
    return Array.from({ length: nodes + liars + blackHoles }, (_, number) => {
      const slow = number > 0 && number <= stragglers ? 0.1 : 1
      this.links.add({ up: slow * bytesPerMs, down: slow * bytesPerMs })
      const bad = number < nodes + liars ? 'liar' : 'black-hole'
      const honest = number === 0 ? 'origin' : 'honest'
      return new SimNode(this, { number, kind: number < nodes ? honest : bad })
    })
  }

  /** Links each with those next to it on a ring in random order, and with others by chance. */
  #link(): void {
    const { degree = this.nodes.length } = this.options
    const order = shuffled(this.nodes, this.#random)
    const tie = (a: SimNode, b: SimNode): void => {
      if (a === b) return
      a.linked.add(b)
      b.linked.add(a)
    }
    if (degree >= this.nodes.length - 1) {
      for (const [i, node] of order.entries()) for (const it of order.slice(0, i)) tie(node, it)
      return
    }
    for (const [i, node] of order.entries()) tie(node, order[(i + 1) % order.length]!)
    const ends = order.flatMap((node) => Array<SimNode>(degree - 2).fill(node))
    const mixed = shuffled(ends, this.#random)
    for (let i = 0; i + 1 < mixed.length; i += 2) tie(mixed[i]!, mixed[i + 1]!)
  }

  get #copyMs(): number {
    return (this.options.pieces * this.pieceBytes * 8000) / (this.options.megabits * 1e6)
  }

  #fate(): SwarmFate {
    const { fetchers, options } = this
    const copyBytes = options.pieces * this.pieceBytes
    const received = fetchers.reduce((sum, it) => sum + it.counts.receivedBytes, 0)
    const useful = fetchers.reduce((sum, it) => sum + it.held.count * this.pieceBytes, 0)
    const fetches = fetchers.map((it) => ({
      beginMs: this.#begun.get(it) ?? 0,
      endMs: this.#ended.get(it),
    }))
    return {
      fetches,
      copyMs: this.#copyMs,
      originCopies: this.nodes[0]!.counts.sentBytes / copyBytes,
      wastedShare: (received / options.overhead - useful) / (copyBytes * fetchers.length),
      newsPerNode: fetchers.reduce((sum, it) => sum + it.counts.news, 0) / fetchers.length,
      bans: fetchers.reduce((sum, it) => sum + it.bans.size, 0),
      failures: fetchers.reduce((sum, it) => sum + it.failures, 0),
      events: this.clock.events,
      violations: this.checks.atEnd(fetches),
    }
  }
}
