import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '../foundation/log.ts'
import { GatewayError, statusOf } from './gateway-error.ts'
import { CHALLENGE } from './writer.ts'

/** What the operating system says when there is no room left. */
const FULL_CODES = ['ENOSPC', 'EDQUOT']

/** How deep the causes of an error are looked into. */
const CAUSES_MAX = 8

/** Tells a client what went wrong, in words and by a status that Nix draws the right end from. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): FastifyReply {
  const isFull = isDiskFull(error)
  const status = isFull && isWrite(request) ? 507 : statusFor(error, request)
  const message = error instanceof Error ? error.message : String(error)
  const why = isFull ? `no room is left on the disk of this node: ${message}` : message
  const fields = { url: request.url, status, why }
  if (error instanceof GatewayError) log.debug('request refused', fields)
  else log.error('request failed', { ...fields, error })
  if (error instanceof GatewayError && error.fault.code === 'range-unsatisfiable') {
    reply.header('content-range', `bytes */${error.fault.size}`)
  }
  if (status === 401) reply.header('www-authenticate', CHALLENGE)
  for (const header of ['content-length', 'accept-ranges', 'content-encoding', 'etag']) {
    reply.removeHeader(header)
  }
  reply.header('cache-control', 'no-store')
  return reply.code(status).type('text/plain; charset=utf-8').send(`${why}\n`)
}

/**
 * Nix retries 5xx five times and then gives the cache up, while 404 makes it go on to the next one:
 * what can not be read is absent. What can not be written is not so.
 */
function statusFor(error: unknown, request: FastifyRequest): number {
  if (error instanceof GatewayError) return statusOf(error.fault)
  const status = error instanceof Error ? (error as FastifyError).statusCode : undefined
  if (status !== undefined && status < 500) return status
  return isWrite(request) ? 500 : 404
}

function isWrite({ method }: FastifyRequest): boolean {
  return method !== 'GET' && method !== 'HEAD'
}

function isDiskFull(error: unknown): boolean {
  let cause = error
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    if (FULL_CODES.includes(String((cause as NodeJS.ErrnoException).code))) return true
    cause = cause.cause
  }
  return false
}
