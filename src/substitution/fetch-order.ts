import type { Random } from '../foundation/random.ts'

/** How finely chance is cut. */
const CHANCES = 2 ** 32

interface Placed<T> {
  readonly item: T
  readonly place: number
}

/**
 * Gives things out in an order that chance decides, heavier ones mostly before lighter ones: at any
 * time each of those that are left is next with a chance in proportion to its weight (Efraimidis
 * and Spirakis, 2006). So machines that fetch the same closure at once begin with different paths,
 * and have what the others want; and what takes longest is not begun last.
 */
export class FetchOrder<T> {
  readonly #random: Random
  /** Who is next is last. */
  readonly #placed: Placed<T>[] = []

  constructor({ random }: { readonly random: Random }) {
    this.#random = random
  }

  get size(): number {
    return this.#placed.length
  }

  /** @param weight more than 0 */
  add(item: T, weight: number): void {
    const chance = (this.#random.integer(CHANCES) + 1) / CHANCES
    const place = -Math.log(chance) / weight
    let [low, high] = [0, this.#placed.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#placed[middle]!.place > place) low = middle + 1
      else high = middle
    }
    this.#placed.splice(low, 0, { item, place })
  }

  /** Takes the next one out; undefined where none is left. */
  take(): T | undefined {
    return this.#placed.pop()?.item
  }
}
