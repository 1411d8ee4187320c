import type { Call } from '../foundation/call.ts'
import { type Clock, withDeadline } from '../foundation/clock.ts'
import { unlessAborted } from '../foundation/single-flight.ts'

/**
 * Passes a body on that may stand still for so many milliseconds at the most. The time that its
 * reader takes does not count.
 * @throws DeadlineError; the call's reason; what the source throws
 */
export async function* withStallLimit(
  source: AsyncIterable<Uint8Array>,
  { clock, stallMs, what }: { readonly clock: Clock; readonly stallMs: number; what: string },
  call: Call,
): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const next = await withDeadline(clock, stallMs, what, call, (timed) =>
        unlessAborted(handled(pieces.next()), timed.signal),
      )
      isOver = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } catch (error) {
    isOver = true
    // Not awaited: it would wait for the very piece that does not come.
    void Promise.resolve(pieces.return?.()).catch(() => undefined)
    throw error
  } finally {
    if (!isOver) await pieces.return?.()
  }
}

/** The same, whose error nobody has to wait for. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
