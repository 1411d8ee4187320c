import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { SingleFlight } from '../foundation/single-flight.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'

/** For how long a sum counts while the number of paths stays the same, in milliseconds. */
export const SUM_MS = 60_000

/** Sums up how long all paths are that are held; they are not gone through for each question. */
export class HeldSize {
  readonly #pathInfos: LocalPathInfoStore
  readonly #clock: Clock
  readonly #summing = new SingleFlight<number>()
  #sum = { bytes: 0, paths: 0, untilMs: 0 }

  constructor(components: { pathInfos: LocalPathInfoStore; clock: Clock }) {
    this.#pathInfos = components.pathInfos
    this.#clock = components.clock
  }

  /** Bytes of the NARs of all paths. */
  async bytes(call: Call): Promise<number> {
    const { bytes, paths, untilMs } = this.#sum
    if (this.#pathInfos.count() === paths && this.#clock.now() < untilMs) return bytes
    return await this.#summing.run('all', (shared) => this.#sumUp(shared), call)
  }

  async #sumUp(call: Call): Promise<number> {
    const paths = this.#pathInfos.count()
    let bytes = 0
    for await (const { narSize } of this.#pathInfos.list(call)) bytes += narSize
    this.#sum = { bytes, paths, untilMs: this.#clock.now() + SUM_MS }
    return bytes
  }
}
