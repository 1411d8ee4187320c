import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from './clock.ts'

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, call) => {
    try {
      await sleep(ms, undefined, { signal: call.signal })
    } catch (error) {
      throw call.signal.aborted ? call.signal.reason : error
    }
  },
}
