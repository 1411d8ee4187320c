/**
 * The peers that say they have a path. Grows while it is in use: late answers are as good as early
 * ones.
 */
export class HolderSet implements Iterable<string> {
  readonly #peers = new Set<string>()
  readonly #listeners = new Set<(peer: string) => void>()

  constructor(peers: Iterable<string> = []) {
    for (const peer of peers) this.#peers.add(peer)
  }

  get size(): number {
    return this.#peers.size
  }

  add(peer: string): void {
    if (this.#peers.has(peer)) return
    this.#peers.add(peer)
    for (const listener of this.#listeners) listener(peer)
  }

  has(peer: string): boolean {
    return this.#peers.has(peer)
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.#peers.values()
  }

  /** Calls `listener` for every peer that comes, until disposed. */
  onAdd(listener: (peer: string) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }
}
