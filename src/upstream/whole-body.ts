import { Readable } from 'node:stream'
import { type CacheError, cutOff } from './cache-error.ts'
import type { CacheFileBody } from './cache-files.ts'

/** The bytes of a body as it is sent. @throws CacheError where they are not as many as it said */
export async function* wholeBody(body: CacheFileBody, cache: string): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const piece of body.open()) {
    bytes += piece.length
    if (bytes > body.size) throw wrongLength(body, cache, bytes)
    yield piece
  }
  if (bytes < body.size) throw wrongLength(body, cache, bytes)
}

/** A body on its way out, as a stream, and what became of it at our end. */
export interface SentBody {
  readonly stream: Readable
  /** Aborted once the body itself failed, with its error: who sends need not wait any longer. */
  readonly failed: AbortSignal
}

/** A body as a stream. Only its own errors count as such, not those of whoever sends it. */
export function sentBody(body: CacheFileBody, cache: string): SentBody {
  const failing = new AbortController()
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* wholeBody(body, cache)
    } catch (error) {
      failing.abort(error)
      throw error
    }
  }
  const stream = Readable.from(pieces(), { objectMode: false })
  stream.on('error', () => undefined) // told to who sends it
  return { stream, failed: failing.signal }
}

function wrongLength({ size }: CacheFileBody, cache: string, bytes: number): CacheError {
  return cutOff(cache, `was to be sent ${size} bytes, and the upload was ended`, bytes)
}
