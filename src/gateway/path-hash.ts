import type { FastifyRequest } from 'fastify'
import { NixError } from '../nix/nix-error.ts'
import { parseStorePathHash } from '../nix/store-path.ts'
import { absent } from './gateway-error.ts'

/**
 * The hash part of a store path that a URL names. @throws GatewayError 'absent': caches are asked
 * for all sorts of names, and 404 is harmless
 */
export function pathHashOf(request: FastifyRequest): Uint8Array {
  const { hash } = request.params as { hash: string }
  try {
    return parseStorePathHash(hash)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw absent(cause.message)
  }
}
