import type { Call } from '../foundation/call.ts'
import { unlessAborted } from '../foundation/single-flight.ts'

/**
 * Says who is at work with content: takes it in, reads it, fetches it. Nothing is removed from
 * under them: before content goes, all leases that were open when it was condemned have ended. Who
 * begins later finds it condemned, and has it pardoned by asking for it.
 */
export class Leases {
  readonly #open = new Set<Promise<void>>()

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** Opens a lease; it ends when it is disposed of, however often that is. */
  begin(): Disposable {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#open.add(promise)
    const end = (): void => {
      this.#open.delete(promise)
      resolve()
    }
    return { [Symbol.dispose]: end }
  }

  /** Resolves once all leases that are open now have ended. */
  async ended(call: Call): Promise<void> {
    await unlessAborted(
      Promise.all(this.#open).then(() => undefined),
      call.signal,
    )
  }
}
