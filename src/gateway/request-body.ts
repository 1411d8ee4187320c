import type { FastifyReply, FastifyRequest } from 'fastify'
import { utf8Text } from '../foundation/bytes.ts'
import type { Clock } from '../foundation/clock.ts'
import { type Compression, compressionOfCoding } from '../nar/compression.ts'
import { decompressed } from '../nar/decompression.ts'
import { NarError } from '../nar/nar-error.ts'
import { badRequest, GatewayError, tooLarge } from './gateway-error.ts'
import type { GatewayLimits } from './gateway-limits.ts'

/** What reading a body takes. */
export interface BodyComponents {
  readonly clock: Clock
  readonly limits: Pick<GatewayLimits, 'uploadIdleMs'>
}

/**
 * The body of a request, piece by piece. A client that waits for 100 Continue is told to go on now,
 * and not before: whoever is to be refused is so without sending anything.
 * @throws GatewayError 'too-large' at once where the body is announced longer than `bytesMax`, and
 *   as it is read; 'timed-out' where nothing comes for {@link GatewayLimits.uploadIdleMs}
 */
export function requestBody(
  request: FastifyRequest,
  reply: FastifyReply,
  components: BodyComponents,
  init: { readonly bytesMax?: number } = {},
): AsyncGenerator<Uint8Array> {
  const bytesMax = init.bytesMax ?? Number.POSITIVE_INFINITY
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw longerThan(bytesMax)
  if (waitsToGoOn(request)) reply.raw.writeContinue()
  return pieces(request, components, bytesMax)
}

/** Whether a client sends its body only once it is told to, by RFC 9110 §10.1.1. */
function waitsToGoOn({ headers, raw }: FastifyRequest): boolean {
  return raw.httpVersion !== '1.0' && /^100-continue$/i.test(headers.expect ?? '')
}

/**
 * The body of a request without its Content-Encoding; Nix puts one on logs, listings and narinfos
 * where it is configured so. `bytesMax` counts for both, with and without.
 * @throws GatewayError
 */
export function unpackedBody(
  request: FastifyRequest,
  reply: FastifyReply,
  components: BodyComponents,
  init: { readonly bytesMax: number },
): AsyncGenerator<Uint8Array> {
  const coding = request.headers['content-encoding']
  const compression = compressionOfCoding(coding)
  if (compression === undefined) {
    throw badRequest(`no Content-Encoding that is known here: ${coding}; xz, zstd, gzip and br are`)
  }
  return unpacked(requestBody(request, reply, components, init), compression, init.bytesMax)
}

/** The text of a small body. @throws GatewayError where it is larger, or no UTF-8 */
export async function bodyText(
  request: FastifyRequest,
  reply: FastifyReply,
  components: BodyComponents,
  init: { readonly bytesMax: number },
): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of unpackedBody(request, reply, components, init)) parts.push(part)
  const text = utf8Text(Buffer.concat(parts))
  if (text === undefined) throw badRequest('the body is no UTF-8')
  return text
}

async function* unpacked(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  try {
    yield* decompressed(source, compression, { outputBytesMax: bytesMax })
  } catch (cause) {
    if (!(cause instanceof NarError)) throw cause
    if (cause.fault.code === 'too-large') throw longerThan(bytesMax)
    throw badRequest(cause.message, cause)
  }
}

async function* pieces(
  { raw }: FastifyRequest,
  { clock, limits }: BodyComponents,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  let wake: ((error?: Error) => void) | undefined
  let waitsSince = Number.POSITIVE_INFINITY
  const over = new AbortController()
  const watch = async (): Promise<void> => {
    for (;;) {
      const left = Math.min(waitsSince - clock.now(), 0) + limits.uploadIdleMs
      await clock.sleep(left, over)
      if (clock.now() - waitsSince >= limits.uploadIdleMs) wake?.(stoodStill(limits.uploadIdleMs))
    }
  }
  watch().catch(() => undefined) // the body is over
  const onEvent = (): void => wake?.()
  const events = ['readable', 'end', 'close', 'error'] as const
  for (const event of events) raw.on(event, onEvent)
  try {
    for (;;) {
      const piece: Buffer | null = raw.read()
      if (piece !== null) {
        bytes += piece.length
        if (bytes > bytesMax) throw longerThan(bytesMax)
        yield piece
        continue
      }
      if (raw.readableEnded) return
      if (raw.destroyed) throw badRequest('the client has left in the middle of the body')
      waitsSince = clock.now()
      await new Promise<void>((resolve, reject) => {
        wake = (error) => (error === undefined ? resolve() : reject(error))
      })
      waitsSince = Number.POSITIVE_INFINITY
      wake = undefined
    }
  } finally {
    over.abort()
    for (const event of events) raw.off(event, onEvent)
  }
}

function longerThan(bytesMax: number): GatewayError {
  return tooLarge(`the body may have ${bytesMax} bytes, and has more`)
}

function stoodStill(idleMs: number): GatewayError {
  const what = `nothing of the body came for ${idleMs} ms`
  return new GatewayError({ code: 'timed-out' }, what)
}
