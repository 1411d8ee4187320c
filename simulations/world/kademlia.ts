import { type Random, seededRandom } from '../../src/foundation/random.ts'

/** How many nodes a bucket holds, and how many nearest ones an answer names: Kademlia's k. */
export const K = 20

/** How many are asked at once. */
export const ALPHA = 3

/** How many bits kad-dht's tables tell nodes apart by (`PREFIX_LENGTH` of its routing table). */
const TRIE_BITS = 6

/**
 * How a node's table is laid out: `buckets` as Kademlia has it, k nodes at each distance; or `trie`
 * as kad-dht has it, k nodes below each prefix of six bits, wherever the node itself is.
 */
export type TableKind = 'buckets' | 'trie'

/** What a lookup came to. */
export interface Lookup {
  /** How many answers, one after another, led to the nearest node; undefined where it was missed. */
  readonly hops: number | undefined
  /** How many nodes were asked. */
  readonly asked: number
  /** How many of the k nearest nodes it found. */
  readonly found: number
}

/**
 * Nodes with full tables in a network at rest. Names have 32 bits. Tables are drawn by chance from
 * what may be in them, anew and alike whenever they are needed.
 */
export class Kademlia {
  /** All names, ascending: those with a prefix in common are next to each other. */
  readonly #ids: Uint32Array
  readonly #seed: number
  readonly #kind: TableKind

  constructor(init: { readonly nodes: number; readonly seed: number; readonly kind: TableKind }) {
    const random = seededRandom(init.seed)
    const ids = new Set<number>()
    while (ids.size < init.nodes) ids.add(random.integer(2 ** 32))
    this.#ids = Uint32Array.from(ids).sort()
    this.#seed = init.seed
    this.#kind = init.kind
  }

  /**
   * Looks for the nodes nearest to a target, from a node: asks the nearest of those it has heard
   * of, {@link ALPHA} at once, until the {@link K} nearest have all been asked. Who is in its own
   * table is one hop away, whom these name is two, and so on.
   */
  lookUp(random: Random): Lookup {
    const self = this.#ids[random.integer(this.#ids.length)]!
    const target = random.integer(2 ** 32)
    const hops = new Map<number, number>()
    const asked = new Set<number>([self])
    const known: number[] = []
    const hear = (ids: readonly number[], depth: number): void => {
      for (const id of ids) {
        const before = hops.get(id)
        if (before === undefined && id !== self) known.push(id)
        if (before === undefined || depth < before) hops.set(id, depth)
      }
      known.sort((a, b) => distance(a, target) - distance(b, target))
    }
    hear(this.#nearestKnown(self, target), 1)
    for (;;) {
      const next = known.slice(0, K).filter((id) => !asked.has(id))
      if (next.length === 0) break
      for (const id of next.slice(0, ALPHA)) {
        asked.add(id)
        hear(this.#nearestKnown(id, target), hops.get(id)! + 1)
      }
    }
    const nearest = this.#nearest(target).filter((id) => id !== self)
    const heard = new Set(known.slice(0, K))
    return {
      hops: hops.get(nearest[0]!),
      asked: asked.size - 1,
      found: nearest.filter((id) => heard.has(id)).length / nearest.length,
    }
  }

  /** What a node answers: the k of its table that are nearest to the target. */
  #nearestKnown(id: number, target: number): number[] {
    const found = this.#kind === 'trie' ? this.#ofTrie(id, target) : this.#ofBuckets(id, target)
    return found.sort((a, b) => distance(a, target) - distance(b, target)).slice(0, K)
  }

  #ofBuckets(id: number, target: number): number[] {
    const first = commonBits(id, target)
    const found: number[] = []
    // In its bucket are those that share more with the target; in later ones those that share as
    // much; in earlier ones those that share less, the fewer the earlier.
    if (first < 32) found.push(...this.#bucket(id, first))
    for (let bits = first + 1; bits < 32 && found.length < 2 * K; bits++) {
      const more = this.#bucket(id, bits)
      found.push(...more)
      if (more.length === 0 && this.#countOf(id, bits) <= 1) break
    }
    for (let bits = first - 1; bits >= 0 && found.length < K; bits--) {
      found.push(...this.#bucket(id, bits))
    }
    return found
  }

  /** Of the nodes that share so many bits with a node, and not the next one: k by chance. */
  #bucket(id: number, bits: number): number[] {
    const other = (id ^ (2 ** (31 - bits))) >>> 0
    return this.#some(id, other, bits + 1)
  }

  #ofTrie(id: number, target: number): number[] {
    const found = this.#leaf(id, target)
    for (let bits = TRIE_BITS - 1; bits >= 0 && found.length < K; bits--) {
      const beside = (target ^ (2 ** (31 - bits))) >>> 0
      if (this.#countOf(target, bits) > K) found.push(...this.#below(id, beside, bits + 1))
    }
    return found
  }

  #leaf(id: number, target: number): number[] {
    for (let bits = 0; bits < TRIE_BITS; bits++) {
      if (this.#countOf(target, bits) <= K) return this.#some(id, target, bits)
    }
    return this.#some(id, target, TRIE_BITS)
  }

  /** All of the table's leaves below a prefix. */
  #below(id: number, place: number, bits: number): number[] {
    if (bits === TRIE_BITS || this.#countOf(place, bits) <= K) return this.#some(id, place, bits)
    const other = (place ^ (2 ** (31 - bits))) >>> 0
    return [...this.#below(id, place, bits + 1), ...this.#below(id, other, bits + 1)]
  }

  /** Of the nodes that share so many bits with a place: k by chance, always the same for a node. */
  #some(id: number, place: number, bits: number): number[] {
    const [from, to] = this.#range(place, bits)
    if (to - from <= K) return [...this.#ids.subarray(from, to)]
    const prefix = bits === 0 ? 0 : place >>> (32 - bits)
    const random = seededRandom(Math.imul(id ^ (prefix * 64 + bits), 0x9e3779b1) ^ this.#seed)
    const chosen = new Set<number>()
    while (chosen.size < K) chosen.add(this.#ids[from + random.integer(to - from)]!)
    return [...chosen]
  }

  #countOf(place: number, bits: number): number {
    const [from, to] = this.#range(place, bits)
    return to - from
  }

  #range(place: number, bits: number): [from: number, to: number] {
    if (bits === 0) return [0, this.#ids.length]
    const size = 2 ** (32 - bits)
    const start = Math.floor(place / size) * size
    return [this.#firstAt(start), this.#firstAt(start + size)]
  }

  #nearest(target: number): number[] {
    let bits = 31
    while (bits > 0 && this.#countOf(target, bits) <= K) bits--
    const [from, to] = this.#range(target, bits)
    const near = [...this.#ids.subarray(from, to)]
    return near.sort((a, b) => distance(a, target) - distance(b, target)).slice(0, K)
  }

  #firstAt(place: number): number {
    let low = 0
    let high = this.#ids.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ids[middle]! < place) low = middle + 1
      else high = middle
    }
    return low
  }
}

function distance(a: number, b: number): number {
  return (a ^ b) >>> 0
}

function commonBits(a: number, b: number): number {
  return Math.clz32(a ^ b)
}
