/** Over about how long a rate is averaged, in milliseconds. */
export const AVERAGED_MS = 5_000

/** How fast something goes just now: an average in which what is long past counts ever less. */
export class RateMeter {
  #bytesPerMs = 0
  #atMs = 0

  add(bytes: number, nowMs: number): void {
    this.#bytesPerMs = this.#faded(nowMs) + bytes / AVERAGED_MS
    this.#atMs = nowMs
  }

  /** Bytes a second. */
  rate(nowMs: number): number {
    return this.#faded(nowMs) * 1000
  }

  #faded(nowMs: number): number {
    return this.#bytesPerMs * Math.exp((this.#atMs - nowMs) / AVERAGED_MS)
  }
}
