import type { FastifyRequest } from 'fastify'
import type { Call } from '../foundation/call.ts'
import { OWNER_ACCESS, type ReadAccess } from '../pathinfo/read-access.ts'
import type { RouteComponents } from './gateway-components.ts'
import { isOwner } from './writer.ts'

/**
 * What may be read by who asks: everything by the owner, by others what is shared. A wrong token is
 * no reason to refuse what is there for everybody.
 */
export function accessOf(
  request: FastifyRequest,
  { tokens, others }: Pick<RouteComponents, 'tokens' | 'others'>,
): ReadAccess {
  return isOwner(request, tokens) ? OWNER_ACCESS : others
}

/**
 * Whether who asks may be told of a path, by what is held or claimed of it. Others are told of
 * those alone that are shared, or would be once they were here; nothing is fetched for them before.
 */
export async function isTold(
  hash: Uint8Array,
  access: ReadAccess,
  { substituter }: Pick<RouteComponents, 'substituter'>,
  call: Call,
): Promise<boolean> {
  if (access.isOwner) return true
  const pathInfo = await substituter.describe(hash, call)
  return pathInfo !== undefined && access.shares(pathInfo)
}
