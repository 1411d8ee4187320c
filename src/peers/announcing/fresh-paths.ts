/** How many paths wait to be announced; beyond that everything is gone through again. */
export const WAITING_PATHS_MAX = 16_384

/** Paths that have just come, by the hash parts of their names, in the order that they came. */
export class FreshPaths {
  readonly #waitingMax: number
  readonly #waiting = new Map<string, Uint8Array>()
  /** Those that are being announced. */
  #taken = new Map<string, Uint8Array>()
  #wake = Promise.withResolvers<void>()

  constructor(init: { waitingMax?: number } = {}) {
    this.#waitingMax = init.waitingMax ?? WAITING_PATHS_MAX
  }

  /** How many wait or are being announced. */
  get size(): number {
    return this.#waiting.size + this.#taken.size
  }

  /** Takes a path in; false where there is no room for it. */
  add(hash: Uint8Array): boolean {
    const hex = hexOf(hash)
    this.#taken.delete(hex) // what is being said of it may not be so any more
    if (this.#waiting.size >= this.#waitingMax && !this.#waiting.has(hex)) return false
    this.#waiting.set(hex, hash)
    this.#wake.resolve()
    return true
  }

  /** A path that went, or is not shared any more. */
  remove(hash: Uint8Array): void {
    this.#waiting.delete(hexOf(hash))
    this.#taken.delete(hexOf(hash))
  }

  /** The next paths, `max` at the most; it waits until there is one, or `wake` is called. */
  async take(max: number): Promise<readonly Uint8Array[]> {
    this.#taken = new Map()
    this.#wake = Promise.withResolvers<void>()
    if (this.#waiting.size === 0) await this.#wake.promise
    for (const [hex, hash] of this.#waiting) {
      if (this.#taken.size >= max) break
      this.#waiting.delete(hex)
      this.#taken.set(hex, hash)
    }
    return [...this.#taken.values()]
  }

  /** Whether a path that was taken is still to be announced. */
  isWanted(hash: Uint8Array): boolean {
    return this.#taken.has(hexOf(hash))
  }

  /** Ends a wait for paths. */
  wake(): void {
    this.#wake.resolve()
  }
}

function hexOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}
