/** Of how many chunks of pulls a node keeps in mind what it tells and is told, of all together. */
export const TOLD_CHUNKS_MAX = 1_048_576

/** Room for what is told of pulls; what finds none comes when the path is whole. */
export class ToldRoom {
  #left: number

  constructor(_components: object = {}, init: { readonly chunks?: number } = {}) {
    this.#left = init.chunks ?? TOLD_CHUNKS_MAX
  }

  /** Takes room for so many chunks; says whether there was as much. */
  take(chunks: number): boolean {
    if (chunks > this.#left) return false
    this.#left -= chunks
    return true
  }

  giveBack(chunks: number): void {
    this.#left += chunks
  }
}
