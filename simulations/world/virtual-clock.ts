import type { Call } from '../../src/foundation/call.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { EventQueue, type SimEvent } from './event-queue.ts'

/** How many events are put to the event loop at once: it settles promises after each of them. */
const EVENTS_AT_ONCE = 64

/**
 * Time that jumps from one event to the next. All that an event sets going by promises comes to
 * rest before the next one: each is a callback of the event loop of its own, and Node empties its
 * queue of microtasks after each of those.
 */
export class VirtualClock implements Clock {
  readonly #queue = new EventQueue()
  #nowMs = 0
  #events = 0

  now(): number {
    return this.#nowMs
  }

  /** How many events there were. */
  get events(): number {
    return this.#events
  }

  sleep(ms: number, { signal }: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const onAbort = (): void => {
        this.#queue.remove(event)
        reject(signal.reason)
      }
      const event = this.in(ms, () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Has something happen `ms` milliseconds from now. */
  in(ms: number, run: () => void): SimEvent {
    return this.#queue.add(this.#nowMs + ms, run)
  }

  /** Puts an event, also one that is over, `ms` milliseconds from now. */
  move(event: SimEvent, ms: number): void {
    this.#queue.move(event, this.#nowMs + ms)
  }

  cancel(event: SimEvent): void {
    this.#queue.remove(event)
  }

  /** Lets time pass until it is over, or nothing is left to happen. @throws what an event throws */
  async run(isOver: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let isEnded = false
    const step = (): void => {
      if (isEnded) return
      try {
        isEnded = isOver() || !this.#step()
        if (isEnded) resolve()
      } catch (error) {
        isEnded = true
        reject(error)
      }
    }
    const turn = (): void => {
      for (let i = 0; i < EVENTS_AT_ONCE; i++) setImmediate(step)
      if (!isEnded) setImmediate(turn)
    }
    setImmediate(turn)
    await promise
  }

  #step(): boolean {
    const event = this.#queue.next()
    if (event === undefined) return false
    this.#nowMs = event.atMs
    this.#events++
    event.run()
    return true
  }
}
