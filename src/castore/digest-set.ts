const CAPACITY_MIN = 1024

/**
 * A set of digests that keeps eight bytes of each, so that a million take 16 to 32 MiB. It may take
 * one digest for another with a chance of one in 2^64 for each that it holds.
 */
export class DigestSet {
  #slots = new Uint32Array(2 * CAPACITY_MIN)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds a digest; says whether it is new. */
  add(digest: Uint8Array): boolean {
    if (2 * (this.#size + 1) > this.#slots.length / 2) this.#grow()
    const [high, low] = wordsOf(digest)
    if (!put(this.#slots, high, low)) return false
    this.#size++
    return true
  }

  has(digest: Uint8Array): boolean {
    const [high, low] = wordsOf(digest)
    return this.#slots[find(this.#slots, high, low)] !== 0
  }

  #grow(): void {
    const slots = new Uint32Array(2 * this.#slots.length)
    for (let at = 0; at < this.#slots.length; at += 2) {
      if (this.#slots[at] !== 0) put(slots, this.#slots[at]!, this.#slots[at + 1]!)
    }
    this.#slots = slots
  }
}

/** The first eight bytes; the first word is never 0, which marks a free slot. */
function wordsOf(digest: Uint8Array): [number, number] {
  const high = (digest[0]! << 24) | (digest[1]! << 16) | (digest[2]! << 8) | digest[3]!
  const low = (digest[4]! << 24) | (digest[5]! << 16) | (digest[6]! << 8) | digest[7]!
  return [high >>> 0 || 1, low >>> 0]
}

/** Where it is, or the free slot where it would be. */
function find(slots: Uint32Array, high: number, low: number): number {
  const mask = slots.length - 1
  let at = (low * 2) & mask // the words are as good as random
  while (slots[at] !== 0 && (slots[at] !== high || slots[at + 1] !== low)) at = (at + 2) & mask
  return at
}

function put(slots: Uint32Array, high: number, low: number): boolean {
  const at = find(slots, high, low)
  if (slots[at] !== 0) return false
  slots[at] = high
  slots[at + 1] = low
  return true
}
