import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AccessTokens } from '../foundation/access-token.ts'
import { isLocal } from '../foundation/listening.ts'
import { GatewayError } from './gateway-error.ts'

/** Who puts something in: this machine's owner, or anyone else, whose word counts for nothing. */
export type Writer = 'owner' | 'stranger'

/** Headers that only proxies and browsers send; behind one, a local connection shows nothing. */
const GO_BETWEEN_HEADERS = ['forwarded', 'x-forwarded-for', 'via', 'origin']

/** What makes clients look into their netrc for a password, by RFC 9110 §11.6.1. */
export const CHALLENGE = 'Basic realm="cairn"'

/**
 * Who a request comes from: the owner, where it is from this machine or bears a token; a web page
 * in a browser on this machine, or somebody behind a proxy on it, is not the owner.
 * @throws GatewayError 'unauthorized' where it bears something that is no token of ours
 */
export function writerOf(
  { socket, headers }: Pick<FastifyRequest, 'socket' | 'headers'>,
  tokens: AccessTokens,
): Writer {
  if (isOwner({ socket, headers }, tokens)) return 'owner'
  if (headers.authorization !== undefined) throw unauthorized('that is no token of this node')
  return 'stranger'
}

/** Whether a request comes from the owner; see {@link writerOf}. */
export function isOwner(
  { socket, headers }: Pick<FastifyRequest, 'socket' | 'headers'>,
  tokens: AccessTokens,
): boolean {
  if (tokens.holderOfHeader(headers.authorization) !== undefined) return true
  const isDirect = GO_BETWEEN_HEADERS.every((name) => headers[name] === undefined)
  return isDirect && isLocal(socket)
}

/** A hook that lets only the owner through. */
export function ownerOnly({ tokens }: { readonly tokens: AccessTokens }) {
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    if (writerOf(request, tokens) === 'owner') return
    throw unauthorized('only clients on this machine, and those with a token, may put this in')
  }
}

/** The error for who has shown nothing, or something wrong; it says how to get a token. */
export function unauthorized(what: string, cause?: unknown): GatewayError {
  const remedy = '`cairn token` makes a token, which goes into the netrc file as a password'
  return new GatewayError({ code: 'unauthorized' }, `${what}; ${remedy}`, { cause })
}
