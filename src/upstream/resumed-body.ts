import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { CacheError, cutOff } from './cache-error.ts'

/** How many times a body that broke off is continued. */
export const RESUMPTIONS_MAX = 5

/** Time before a body is continued for the first time, in milliseconds; twice as long each time. */
export const RESUME_MS = 100

/** A body that may break off. */
export interface BreakableBody {
  /** What comes at first, from the offset on. */
  readonly bytes: AsyncIterable<Uint8Array>
  /** In the file, in bytes. */
  readonly offset: number
  /** Where the file ends, where that is known: an end before is none. */
  readonly size: number | undefined
  /**
   * The same file from an offset on; undefined where the cache can not continue it, or has another
   * by now. Bodies that have none are not continued.
   */
  reopen?(offset: number, call: Call): Promise<AsyncIterable<Uint8Array> | undefined>
}

/**
 * A body as one stream that does not break off: it is continued where it did, a few times, and each
 * time only if something has come since the last.
 * @throws CacheError 'cut-off', or as reopening does; the call's reason
 */
export async function* resumedBody(
  body: BreakableBody,
  components: { readonly clock: Clock; readonly cache: string },
  call: Call,
): AsyncGenerator<Uint8Array> {
  const { clock, cache } = components
  let { bytes, offset: at } = body
  for (let resumptions = 0; ; resumptions++) {
    const from = at
    let cause: unknown
    const pieces = bytes[Symbol.asyncIterator]()
    let isBroken = false
    try {
      for (;;) {
        let next: IteratorResult<Uint8Array>
        try {
          next = await pieces.next()
        } catch (error) {
          call.signal.throwIfAborted()
          cause = error
          isBroken = true
          break
        }
        if (next.done === true) {
          isBroken = true
          if (body.size === undefined || at === body.size) return
          break
        }
        at += next.value.length
        if (body.size !== undefined && at > body.size) {
          throw cutOff(cache, `sent more than the ${body.size} bytes that it said`, at)
        }
        yield next.value
      }
    } finally {
      if (!isBroken) await pieces.return?.()
    }
    const given = cutOff(cache, 'broke a body off', at, cause)
    if (body.reopen === undefined || at === from || resumptions === RESUMPTIONS_MAX) throw given
    await clock.sleep(RESUME_MS * 2 ** resumptions, call)
    const next = await continued(body, at, given, call)
    if (next === undefined) throw given
    bytes = next
  }
}

/** The rest of a body. What keeps it from coming is told with where the body broke off. */
async function continued(
  body: BreakableBody,
  at: number,
  given: CacheError,
  call: Call,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  try {
    return await body.reopen!(at, call)
  } catch (error) {
    call.signal.throwIfAborted()
    if (!(error instanceof CacheError)) throw error
    throw cutOff(given.fault.cache, 'broke a body off and did not continue it', at, error)
  }
}
