import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Call } from '../foundation/call.ts'

/** The call of a request: aborted when its client goes away before the answer is complete. */
export function callOf(request: FastifyRequest, reply: FastifyReply): Call {
  const abort = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) abort.abort(new Error('the client has gone away'))
  })
  if (request.raw.destroyed && !request.raw.complete) abort.abort(new Error('the client is gone'))
  return { signal: abort.signal }
}
