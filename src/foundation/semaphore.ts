import type { Call } from './call.ts'

/** Lets at most `capacity` units of something be in use at once; the others wait their turn. */
export class Semaphore {
  readonly #capacity: number
  readonly #waiting: { units: number; enter: () => void }[] = []
  #used = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /**
   * Waits for `units` of room and takes it; the disposer gives it back. More than the capacity is
   * taken as all of it, so that one oversized item passes alone instead of never.
   */
  async acquire(units: number, call: Call): Promise<Disposable> {
    call.signal.throwIfAborted()
    const wanted = Math.min(units, this.#capacity)
    if (this.#waiting.length > 0 || this.#used + wanted > this.#capacity) {
      await this.#turn(wanted, call.signal)
    } else {
      this.#used += wanted
    }
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#used -= wanted
        this.#admit()
      },
    }
  }

  #turn(units: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const ticket = { units, enter: resolve }
    const leave = (): void => {
      const at = this.#waiting.indexOf(ticket)
      if (at < 0) return // admitted already
      this.#waiting.splice(at, 1)
      reject(signal.reason)
      this.#admit()
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#waiting.push(ticket)
    return promise.finally(() => signal.removeEventListener('abort', leave))
  }

  #admit(): void {
    let next = this.#waiting[0]
    while (next !== undefined && this.#used + next.units <= this.#capacity) {
      this.#waiting.shift()
      this.#used += next.units
      next.enter()
      next = this.#waiting[0]
    }
  }
}
