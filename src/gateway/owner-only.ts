import type { FastifyRequest } from 'fastify'
import { isLocal } from '../foundation/listening.ts'
import { GatewayError } from './gateway-error.ts'

/** Lets only this machine's own clients through: what they put in is its owner's word. */
export async function ownerOnly(request: FastifyRequest): Promise<void> {
  if (isLocal(request.socket)) return
  throw new GatewayError({ code: 'forbidden' }, 'only clients on this machine may put paths in')
}
