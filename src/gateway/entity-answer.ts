import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { compressed } from '../nar/compressed.ts'
import { type ByteRange, parseByteRanges } from './byte-range.ts'
import { wantsZstd } from './content-coding.ts'
import { isKnownTo, mayContinue } from './entity-tag.ts'
import { multipartBody } from './multipart-body.ts'

/** How many bytes of an answer wait for a slow client. */
const WAITING_BYTES = 1024 * 1024

/** Something that can be sent, whole or in part. */
export interface Entity {
  /** Its media type. */
  readonly type: string
  /** What its bytes are known by, hexadecimal; another for others. */
  readonly key: string
  readonly cacheControl: string
  /** Length in bytes; undefined where it is made anew each time, and not the same to the byte. */
  readonly size: number | undefined
  /** Whether clients that ask for zstd get it so. */
  readonly isCompressible: boolean
  /** Its bytes, or a part of them where it has a size. */
  read(range: ByteRange | undefined): AsyncIterable<Uint8Array>
}

/** Cache-Control of what a URL made of its content names: it stays the same for ever. */
export const IMMUTABLE = 'public, max-age=31536000, immutable'

/** Cache-Control of what may be put anew. */
export const REVALIDATED = 'no-cache'

/**
 * Answers GET and HEAD of an entity by RFC 9110: If-None-Match, then Range and If-Range, then
 * Accept-Encoding. HEAD says what GET without a Range would.
 * @throws GatewayError 'range-unsatisfiable'
 */
export function sendEntity(
  request: FastifyRequest,
  reply: FastifyReply,
  entity: Entity,
): FastifyReply {
  const { headers } = request
  const { size } = entity
  const etag = etagOf(entity)
  reply.header('cache-control', entity.cacheControl)
  if (entity.isCompressible) reply.header('vary', 'Accept-Encoding')
  const isZstd = entity.isCompressible && wantsZstd(headers['accept-encoding'])
  if (isKnownTo(headers['if-none-match'], etag) || isKnownTo(headers['if-none-match'], coded(etag)))
    return reply
      .header('etag', isZstd ? coded(etag) : etag)
      .code(304)
      .send()

  const isGet = request.method === 'GET'
  const ranges = rangesAsked(request, entity)
  reply.type(entity.type).header('etag', etag)
  if (ranges !== undefined && size !== undefined) return sendParts(reply, entity, ranges, size)
  if (isZstd) {
    reply.header('content-encoding', 'zstd').header('etag', coded(etag))
    if (!isGet) return reply.send()
    return reply.send(compressed(streamOf(entity.read(undefined)), 'zstd'))
  }
  if (size !== undefined) reply.header('accept-ranges', 'bytes').header('content-length', size)
  return isGet ? reply.send(streamOf(entity.read(undefined))) : reply.send()
}

/**
 * The parts of an entity that a request gets; undefined where it gets the whole.
 * @throws GatewayError 'range-unsatisfiable'
 */
export function rangesAsked(
  { method, headers }: Pick<FastifyRequest, 'method' | 'headers'>,
  entity: Pick<Entity, 'key' | 'size'>,
): readonly ByteRange[] | undefined {
  if (method !== 'GET' || entity.size === undefined) return undefined
  const ifRange = headers['if-range']
  const condition = typeof ifRange === 'string' ? ifRange : undefined
  if (!mayContinue(condition, etagOf(entity))) return undefined
  return parseByteRanges(headers.range, entity.size)
}

function etagOf({ key, size }: Pick<Entity, 'key' | 'size'>): string {
  return size === undefined ? `W/"${key}"` : `"${key}"`
}

function sendParts(
  reply: FastifyReply,
  entity: Entity,
  ranges: readonly ByteRange[],
  size: number,
): FastifyReply {
  reply.code(206).header('accept-ranges', 'bytes')
  const [only, second] = ranges
  if (only !== undefined && second === undefined) {
    const { offset, length } = only
    reply.header('content-range', `bytes ${offset}-${offset + length - 1}/${size}`)
    return reply.header('content-length', length).send(streamOf(entity.read(only)))
  }
  const body = multipartBody(ranges, { ...entity, size })
  reply.type(body.type).header('content-length', body.length)
  return reply.send(streamOf(body.pieces((range) => entity.read(range))))
}

/** The tag of the same entity, compressed: other bytes have another tag. */
function coded(etag: string): string {
  return `${etag.slice(0, -1)}-zstd"`
}

function streamOf(source: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(source, { objectMode: false, highWaterMark: WAITING_BYTES })
}
