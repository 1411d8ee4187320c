import { type Call, OVER } from './call.ts'

/** The port to time, so that simulations and tests decide how it passes. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  /** Resolves after `ms` milliseconds, or throws the signal's reason once it is aborted. */
  sleep(ms: number, call: Call): Promise<void>
}

/** A signal that aborts `ms` milliseconds from now; `clear` takes the timer back. */
export interface Deadline {
  readonly signal: AbortSignal
  clear(): void
}

/** Aborts with a {@link DeadlineError} after `ms` milliseconds on the given clock. */
export function deadline(clock: Clock, ms: number, what: string): Deadline {
  const expiry = new AbortController()
  const timer = new AbortController()
  clock.sleep(ms, { signal: timer.signal }).then(
    () => expiry.abort(new DeadlineError(what, ms)),
    () => undefined, // cleared
  )
  return { signal: expiry.signal, clear: () => timer.abort(OVER) }
}

/** Does work that may take `ms` milliseconds at the most. @throws DeadlineError, or as the work */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  what: string,
  call: Call,
  work: (timed: Call) => Promise<T>,
): Promise<T> {
  const limit = deadline(clock, ms, what)
  try {
    return await work({ signal: AbortSignal.any([call.signal, limit.signal]) })
  } finally {
    limit.clear()
  }
}

/** Something took longer than the time it was given. */
export class DeadlineError extends Error {
  constructor(what: string, ms: number) {
    super(`${what} took longer than ${ms} ms`)
    this.name = 'DeadlineError'
  }
}
