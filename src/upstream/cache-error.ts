import { FaultError } from '../foundation/fault.ts'

/** All that can go wrong with a binary cache. `cache` is its name, which holds no credentials. */
export type CacheFault =
  /** It can not be reached: no such host, nobody listening, a wrong certificate, or silence. */
  | { readonly code: 'unreachable'; readonly cache: string; readonly what: string }
  /** It does not let us in, or does not let us do that. */
  | { readonly code: 'refused'; readonly cache: string; readonly what: string }
  /** It answers, but with an error of its own or against the protocol. */
  | { readonly code: 'broken'; readonly cache: string; readonly what: string }
  /** A body ended early, or stood still for too long, after so many bytes. */
  | {
      readonly code: 'cut-off'
      readonly cache: string
      readonly what: string
      readonly bytes: number
    }
  /** It wants to be left alone, for so long in ms where it says so. */
  | {
      readonly code: 'busy'
      readonly cache: string
      readonly what: string
      readonly retryAfterMs: number | undefined
    }
  /** It is no binary cache, or one of another store directory. */
  | { readonly code: 'no-cache'; readonly cache: string; readonly what: string }
  /** What it gave is not what it said, or what was asked for, or can not be read. */
  | { readonly code: 'wrong-content'; readonly cache: string; readonly what: string }
  /** It has a narinfo, but not the NAR that this names. */
  | { readonly code: 'nar-absent'; readonly cache: string; readonly what: string }
  /** A name that leads out of the cache. */
  | { readonly code: 'bad-name'; readonly cache: string; readonly what: string }

/** An error about a binary cache, with its fault. */
export class CacheError extends FaultError<CacheFault> {}

/** The codes whose faults have nothing but words. */
type PlainCode = Exclude<CacheFault['code'], 'cut-off' | 'busy'>

/** Makes the error for a fault; `what` completes a sentence that begins with the cache's name. */
export function cacheError(
  code: PlainCode,
  cache: string,
  what: string,
  cause?: unknown,
): CacheError {
  return new CacheError({ code, cache, what }, `${cache} ${what}`, causedBy(cause))
}

/** An error for a body that ended, or stood still, after so many bytes. */
export function cutOff(cache: string, what: string, bytes: number, cause?: unknown): CacheError {
  const fault = { code: 'cut-off', cache, what, bytes } as const
  return new CacheError(fault, `${cache} ${what} after ${bytes} bytes`, causedBy(cause))
}

/** An error for a cache that wants to be left alone for so long, in ms. */
export function busy(cache: string, what: string, retryAfterMs: number | undefined): CacheError {
  const fault = { code: 'busy', cache, what, retryAfterMs } as const
  const until = retryAfterMs === undefined ? '' : `, and may be asked again in ${retryAfterMs} ms`
  return new CacheError(fault, `${cache} ${what}${until}`)
}

function causedBy(cause: unknown): ErrorOptions {
  return cause === undefined ? {} : { cause }
}
