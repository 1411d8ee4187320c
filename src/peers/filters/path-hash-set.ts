import { STORE_PATH_HASH_BYTES } from '../../nix/store-path.ts'

const CAPACITY_MIN = 1024

/**
 * A set of the hash parts of store paths, 20 bytes each in one array: a million take 30 MB. Whoever
 * goes through them from the last to the first misses none that was there when it began, though
 * others come and go meanwhile.
 */
export class PathHashSet {
  #entries = new Uint8Array(CAPACITY_MIN * STORE_PATH_HASH_BYTES)
  /** The number of an entry and 1, or 0 where the slot is free; at most half of them are in use. */
  #slots = new Uint32Array(2 * CAPACITY_MIN)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** All of them in turn, {@link STORE_PATH_HASH_BYTES} each, to be read at once. */
  get entries(): Uint8Array {
    return this.#entries.subarray(0, this.#size * STORE_PATH_HASH_BYTES)
  }

  has(hash: Uint8Array): boolean {
    return this.#slots[this.#slotOf(hash)] !== 0
  }

  /** Adds a hash part; says whether it is new. */
  add(hash: Uint8Array): boolean {
    if (this.has(hash)) return false
    if ((this.#size + 1) * STORE_PATH_HASH_BYTES > this.#entries.length) this.#grow()
    this.#entries.set(hash, this.#size * STORE_PATH_HASH_BYTES)
    this.#size++
    this.#slots[this.#slotOf(hash)] = this.#size
    return true
  }

  /** Takes a hash part out; says whether it was in. The last one takes its place. */
  delete(hash: Uint8Array): boolean {
    const slot = this.#slotOf(hash)
    const entry = this.#slots[slot]! - 1
    if (entry < 0) return false
    this.#free(slot)
    this.#size--
    if (entry === this.#size) return true
    const last = this.#entry(this.#size)
    const slotOfLast = this.#slotOf(last)
    this.#entries.set(last, entry * STORE_PATH_HASH_BYTES)
    this.#slots[slotOfLast] = entry + 1
    return true
  }

  /** Frees a slot, and moves up those behind it that would not be found any more. */
  #free(slot: number): void {
    const mask = this.#slots.length - 1
    let free = slot
    for (let at = (slot + 1) & mask; this.#slots[at] !== 0; at = (at + 1) & mask) {
      const wanted = placeOf(this.#entry(this.#slots[at]! - 1)) & mask
      if (((at - wanted) & mask) < ((at - free) & mask)) continue
      this.#slots[free] = this.#slots[at]!
      free = at
    }
    this.#slots[free] = 0
  }

  #entry(number: number): Uint8Array {
    const at = number * STORE_PATH_HASH_BYTES
    return this.#entries.subarray(at, at + STORE_PATH_HASH_BYTES)
  }

  /** Where it is, or the free slot where it would be. */
  #slotOf(hash: Uint8Array): number {
    const mask = this.#slots.length - 1
    let at = placeOf(hash) & mask
    for (;;) {
      const entry = this.#slots[at]!
      if (entry === 0 || Buffer.compare(this.#entry(entry - 1), hash) === 0) return at
      at = (at + 1) & mask
    }
  }

  #grow(): void {
    const entries = new Uint8Array(2 * this.#entries.length)
    entries.set(this.#entries)
    this.#entries = entries
    this.#slots = new Uint32Array(2 * this.#slots.length)
    for (let i = 0; i < this.#size; i++) this.#slots[this.#slotOf(this.#entry(i))] = i + 1
  }
}

/** Hash parts are cut out of SHA-256: their bytes are as good as random. */
function placeOf(hash: Uint8Array): number {
  return (hash[0]! | (hash[1]! << 8) | (hash[2]! << 16) | (hash[3]! << 24)) >>> 0
}
