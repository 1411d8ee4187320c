import { type Call, OVER } from './call.ts'
import type { Clock } from './clock.ts'
import { unlessAborted } from './single-flight.ts'

/**
 * Waits for something, but for no longer than `ms` milliseconds; says whether it came in that time.
 * @throws what it throws, or the call's reason
 */
export async function waitUpTo(
  clock: Clock,
  ms: number,
  something: Promise<unknown>,
  call: Call,
): Promise<boolean> {
  const waiting = new AbortController()
  const time = clock.sleep(ms, waiting)
  const passed = time.then(() => false)
  passed.catch(() => undefined) // cut short below
  try {
    return await unlessAborted(Promise.race([something.then(() => true), passed]), call.signal)
  } finally {
    waiting.abort(OVER)
  }
}
