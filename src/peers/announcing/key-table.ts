import { DigestSet } from '../../castore/digest-set.ts'
import { placeOfKey, ROUTING_KEY_BYTES } from '../routing/kademlia-id.ts'

/**
 * How many keys a node announces: a table of them takes 40 bytes a key, 40 MiB when it is full, and
 * 16 MiB more while it is being filled. Sent to 20 servers, so many keys are 2 GB a day.
 */
export const ANNOUNCED_KEYS_MAX = 2 ** 20

/** How many places {@link KeyTable} tells apart; the key space is cut by these. */
export const PLACES = 2 ** 32

const CAPACITY_MIN = 1024

/** Keys to be announced, in the order of the key space. */
export class KeyTable {
  readonly #keysMax: number
  #keys = new Uint8Array(CAPACITY_MIN * ROUTING_KEY_BYTES)
  /** The first 32 bits of a key's place, and its index behind them: 52 bits that a double holds. */
  #order = new Float64Array(CAPACITY_MIN)
  #size = 0
  /** Which keys are there; only until they are sorted. */
  #known: DigestSet | undefined = new DigestSet()

  constructor(init: { keysMax?: number } = {}) {
    this.#keysMax = Math.min(init.keysMax ?? ANNOUNCED_KEYS_MAX, ANNOUNCED_KEYS_MAX)
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size >= this.#keysMax
  }

  /** Takes a key; says whether it is new. There has to be room. */
  add(key: Uint8Array): boolean {
    if (this.#known === undefined || this.isFull) throw new RangeError('the table takes no more')
    if (!this.#known.add(key)) return false
    if (this.#size === this.#order.length) this.#grow()
    this.#keys.set(key, this.#size * ROUTING_KEY_BYTES)
    const place = Buffer.from(placeOfKey(key)).readUInt32BE()
    this.#order[this.#size] = place * ANNOUNCED_KEYS_MAX + this.#size
    this.#size++
    return true
  }

  /** Puts the keys in their order; from then on it takes no more. */
  sort(): this {
    this.#known = undefined
    this.#order = this.#order.slice(0, this.#size).sort()
    this.#keys = this.#keys.slice(0, this.#size * ROUTING_KEY_BYTES)
    return this
  }

  /** The keys whose place is at `from` or beyond, and before `to`, of {@link PLACES}; sorted. */
  between(from: number, to: number): Uint8Array[] {
    const keys: Uint8Array[] = []
    for (let at = this.#firstAt(from); at < this.#size; at++) {
      const packed = this.#order[at]!
      if (packed >= to * ANNOUNCED_KEYS_MAX) break
      const offset = (packed % ANNOUNCED_KEYS_MAX) * ROUTING_KEY_BYTES
      keys.push(this.#keys.subarray(offset, offset + ROUTING_KEY_BYTES))
    }
    return keys
  }

  /** Whether a key is among them, or one at the same of {@link PLACES}. */
  has(key: Uint8Array): boolean {
    const place = Buffer.from(placeOfKey(key)).readUInt32BE()
    return this.between(place, place + 1).length > 0
  }

  #firstAt(place: number): number {
    let low = 0
    let high = this.#size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#order[middle]! < place * ANNOUNCED_KEYS_MAX) low = middle + 1
      else high = middle
    }
    return low
  }

  #grow(): void {
    const capacity = Math.min(2 * this.#order.length, ANNOUNCED_KEYS_MAX)
    const order = new Float64Array(capacity)
    order.set(this.#order)
    this.#order = order
    const keys = new Uint8Array(capacity * ROUTING_KEY_BYTES)
    keys.set(this.#keys)
    this.#keys = keys
  }
}
