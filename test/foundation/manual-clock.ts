import type { Clock } from '../../src/foundation/clock.ts'

/** A clock that stands still until it is told how far to go. */
export interface ManualClock extends Clock {
  /** Lets `ms` milliseconds pass, waking in turn whoever sleeps no longer than that. */
  pass(ms: number): Promise<void>
  /** How many are asleep. */
  readonly sleepers: number
}

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** A clock for one test, beginning at 0. */
export function manualClock(): ManualClock {
  let time = 0
  const asleep = new Set<Sleeper>()
  return {
    now: () => time,
    get sleepers() {
      return asleep.size
    },
    sleep: (ms, { signal }) => {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const sleeper = { until: time + ms, wake: resolve }
      asleep.add(sleeper)
      signal.addEventListener('abort', () => {
        if (asleep.delete(sleeper)) reject(signal.reason)
      })
      return promise
    },
    pass: async (ms) => {
      time += ms
      for (const sleeper of [...asleep].sort((a, b) => a.until - b.until)) {
        if (sleeper.until > time) break
        asleep.delete(sleeper)
        sleeper.wake()
      }
      await settled()
    },
  }
}

/** Resolves once all promises that can settle by themselves have done so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What a promise came to so far. */
export async function outcomeOf(promise: Promise<unknown>): Promise<'pending' | 'kept' | 'broken'> {
  let outcome: 'pending' | 'kept' | 'broken' = 'pending'
  promise.then(
    () => {
      outcome = 'kept'
    },
    () => {
      outcome = 'broken'
    },
  )
  await settled()
  return outcome
}
