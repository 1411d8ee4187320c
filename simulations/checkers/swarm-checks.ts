import { BitSet } from '../../src/foundation/bit-set.ts'
import type { Availability } from '../../src/peers/swarm/availability.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { Fetch, SwarmWorld } from '../world/swarm-world.ts'

/**
 * The least that any schedule takes where all lines are alike, over the time that one copy takes
 * over one line: `fetchers` who get `pieces` pieces from one origin (Mundinger, Weber and Weiss,
 * "Optimal scheduling of peer-to-peer file dissemination", 2008).
 */
export function boundOf(fetchers: number, pieces: number): number {
  return 1 + Math.floor(Math.log2(fetchers)) / pieces
}

/** What has to be so in every world in which nodes fetch. */
export class SwarmChecks {
  readonly #world: SwarmWorld
  readonly #violations: string[] = []

  constructor(world: SwarmWorld) {
    this.#world = world
  }

  /** A node tells what it has: it has to be there. */
  told(node: SimNode, { held, added = [], complete }: Availability): void {
    const { size } = this.#world.pieces
    if (complete === true && !node.held.isFull) this.#violated(`${node.id} says it has all`)
    const said = held === undefined ? added : [...(BitSet.of(size, held) ?? [])]
    for (const piece of said) {
      if (!node.held.has(piece)) this.#violated(`${node.id} tells of piece ${piece} too early`)
    }
  }

  /** What was not as it has to be, up to the end. */
  atEnd(fetches: readonly Fetch[]): readonly string[] {
    const { fetchers, nodes } = this.#world
    for (const node of fetchers) {
      if (!node.held.isFull) this.#violated(`${node.id} has ${node.held.count} pieces at the end`)
      for (const id of node.liedTo) {
        if (node.ledger.standing(id) !== 'banned') this.#violated(`${node.id} trusts ${id}`)
      }
      for (const id of node.bans.keys()) {
        const { kind } = nodes.find((it) => it.id === id)!
        if (kind !== 'liar') this.#violated(`${node.id} has banned ${id}, which is ${kind}`)
      }
    }
    this.#checkBound(fetches)
    return this.#violations
  }

  #checkBound(fetches: readonly Fetch[]): void {
    const { options } = this.#world
    const boundMs = boundOf(fetches.length, options.pieces) * this.#copyMs
    const beginMs = Math.min(...fetches.map((it) => it.beginMs))
    const endMs = Math.max(...fetches.map((it) => it.endMs ?? Number.POSITIVE_INFINITY))
    const leastMs = boundMs * (1 - options.tolerance - 1e-6)
    if (endMs - beginMs < leastMs) this.#violated(`${endMs} ms beats the bound of ${boundMs} ms`)
  }

  get #copyMs(): number {
    const { pieces, pieceBytes, overhead, megabits } = this.#world.options
    return (pieces * pieceBytes * overhead * 8000) / (megabits * 1e6)
  }

  #violated(what: string): void {
    this.#violations.push(what)
  }
}
