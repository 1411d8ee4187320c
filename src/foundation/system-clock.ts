import type { Clock } from './clock.ts'

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, { signal }) => {
    signal.throwIfAborted()
    // Not by `node:timers/promises`, which makes an error with a stack of each sleep that is ended.
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // After a while in which this process was busy, timers come before what has arrived meanwhile:
    // nobody is to be given up whose answer is here.
    const timer = setTimeout(() => setImmediate(resolve), ms)
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  },
}
