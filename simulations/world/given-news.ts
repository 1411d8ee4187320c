import type { Call } from '../../src/foundation/call.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { type Availability, NEWS_MS } from '../../src/peers/swarm/availability.ts'

/**
 * What one who has everything could tell those who watch it: which pieces it is giving to others,
 * as claims. Production does not do so; `originTells` says whether a world does.
 */
export class GivenNews {
  readonly #clock: Clock
  readonly #watchers = new Map<string, number[]>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  /** Pieces are given to a peer. */
  gave(peer: string, pieces: readonly number[]): void {
    for (const [watcher, waiting] of this.#watchers) if (watcher !== peer) waiting.push(...pieces)
  }

  async *watch(peer: string, call: Call): AsyncGenerator<Availability> {
    const waiting: number[] = []
    this.#watchers.set(peer, waiting)
    try {
      for (;;) {
        await this.#clock.sleep(NEWS_MS, call)
        if (waiting.length > 0) yield { claimed: waiting.splice(0) }
      }
    } finally {
      this.#watchers.delete(peer)
    }
  }
}
