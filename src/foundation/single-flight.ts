import type { Call } from './call.ts'

interface Flight<T> {
  readonly result: Promise<T>
  readonly abort: AbortController
  passengers: number
  landed: boolean
}

/**
 * Shares one piece of work among all who ask for the same key while it runs. The work does not end
 * with one caller's signal, but when the last of its callers has left.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** How many keys are being worked on. */
  get size(): number {
    return this.#flights.size
  }

  /** Joins the flight of `key`, or begins it with `work`. @throws what the work throws */
  async run(key: string, work: (call: Call) => Promise<T>, call: Call): Promise<T> {
    call.signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#begin(key, work)
    flight.passengers++
    try {
      return await unlessAborted(flight.result, call.signal)
    } finally {
      flight.passengers--
      if (flight.passengers === 0) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        // Not after it has landed: a result may go on using the call that it was made with.
        if (!flight.landed) flight.abort.abort(everyoneLeft())
      }
    }
  }

  #begin(key: string, work: (call: Call) => Promise<T>): Flight<T> {
    const abort = new AbortController()
    const result = work({ signal: abort.signal })
    const flight: Flight<T> = { result, abort, passengers: 0, landed: false }
    this.#flights.set(key, flight)
    const land = (): void => {
      flight.landed = true
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    result.then(land, land)
    return flight
  }
}

function everyoneLeft(): DOMException {
  return new DOMException('everyone who waited has left', 'AbortError')
}

/** The promise's outcome, or the signal's reason if that comes first. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // Nobody else may be waiting: an error of it, unheard, would end the process.
    promise.catch(() => undefined)
    throw signal.reason
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
