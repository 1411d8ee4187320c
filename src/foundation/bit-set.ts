/** A set of whole numbers below a size, one bit for each. */
export class BitSet {
  readonly size: number
  readonly #bytes: Uint8Array
  #count = 0

  constructor(size: number) {
    this.size = size
    this.#bytes = new Uint8Array(Math.ceil(size / 8))
  }

  /**
   * Reads `bytes`: number `n` is bit `n % 8`, the lowest first, of byte `n / 8`. Undefined where
   * there are too many or too few for the size, or bits beyond it are set.
   */
  static of(size: number, bytes: Uint8Array): BitSet | undefined {
    const set = new BitSet(size)
    if (bytes.length !== set.#bytes.length) return undefined
    set.#bytes.set(bytes)
    for (const byte of bytes) set.#count += bitsOf(byte)
    const spare = bytes.length * 8 - size
    const last = bytes.at(-1) ?? 0
    return last >>> (8 - spare) === 0 ? set : undefined
  }

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count === this.size
  }

  has(number: number): boolean {
    return ((this.#bytes[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0
  }

  /** Adds a number; says whether it is new. @throws RangeError where it is not below the size */
  add(number: number): boolean {
    if (!(number >= 0 && number < this.size)) {
      throw new RangeError(`${number} is not below ${this.size}`)
    }
    if (this.has(number)) return false
    const at = number >>> 3
    this.#bytes[at] = this.#bytes[at]! | (1 << (number & 7))
    this.#count++
    return true
  }

  /** Takes a number out; says whether it was in. */
  delete(number: number): boolean {
    if (!this.has(number)) return false
    const at = number >>> 3
    this.#bytes[at] = this.#bytes[at]! & ~(1 << (number & 7))
    this.#count--
    return true
  }

  /** The numbers in the set, ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let number = 0; number < this.size; number++) if (this.has(number)) yield number
  }

  /** A copy of the bits, as {@link BitSet.of} takes them. */
  toBytes(): Uint8Array {
    return this.#bytes.slice()
  }
}

function bitsOf(byte: number): number {
  let bits = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) bits++
  return bits
}
