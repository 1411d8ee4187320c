import { type Clock, DeadlineError } from '../foundation/clock.ts'

/**
 * Notices when the other side of a call keeps us waiting for too long at one go. Beginning and
 * ending a wait costs next to nothing: one timer serves the whole call.
 */
export class StallWatch implements Disposable {
  readonly #clock: Clock
  readonly #ms: number
  readonly #what: string
  readonly #onStall: (error: DeadlineError) => void
  readonly #over = new AbortController()
  #since: number | undefined
  #watching = false

  constructor(
    components: { clock: Clock },
    init: { ms: number; what: string; onStall: (error: DeadlineError) => void },
  ) {
    this.#clock = components.clock
    this.#ms = init.ms
    this.#what = init.what
    this.#onStall = init.onStall
  }

  /** Waits for some work of the other side's; the wait counts. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#since = this.#clock.now()
    if (!this.#watching) void this.#watch()
    try {
      return await work
    } finally {
      this.#since = undefined
    }
  }

  [Symbol.dispose](): void {
    this.#over.abort()
  }

  async #watch(): Promise<void> {
    this.#watching = true
    let restMs = this.#ms
    while (restMs > 0) {
      const ended = await this.#clock.sleep(restMs, this.#over).then(
        () => false,
        () => true,
      )
      if (ended) return
      restMs = this.#since === undefined ? this.#ms : this.#since + this.#ms - this.#clock.now()
    }
    this.#onStall(new DeadlineError(this.#what, this.#ms))
  }
}
