import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'

/** How often it is told how far something has got, in milliseconds. */
export const PROGRESS_MS = 200

/** Does work, and has `tell` called every now and then until it is done. */
export async function whileTelling<T>(
  clock: Clock,
  tell: () => Promise<void>,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const goOn = async (call: Call): Promise<void> => {
    while (!call.signal.aborted) {
      await tell()
      await clock.sleep(PROGRESS_MS, call)
    }
  }
  const telling = goOn(over).catch(() => undefined) // the work is over, or the client has left
  try {
    return await work()
  } finally {
    over.abort()
    await telling
  }
}
