import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { equalBytes } from '../foundation/bytes.ts'
import { NAR_INFO_LENGTH_MAX, type NarInfo, parseNarInfo, renderNarInfo } from '../nix/nar-info.ts'
import { NixError } from '../nix/nix-error.ts'
import { parseStorePathHash } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { callOf } from './call-of.ts'
import type { GatewayComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { narUrl } from './nar-url.ts'
import { ownerOnly } from './owner-only.ts'
import { wholeText } from './whole-text.ts'

const NAR_INFO_TYPE = 'text/x-nix-narinfo'

/** `GET`, `HEAD` and `PUT /<hash>.narinfo`. */
export function narInfoRoutes(app: FastifyInstance, components: GatewayComponents): void {
  const { substituter } = components

  const get = async (request: FastifyRequest, reply: FastifyReply): Promise<string> => {
    const pathInfo = await substituter.describe(hashOf(request), callOf(request, reply))
    if (pathInfo === undefined) throw absent('no such path here or around')
    reply.type(NAR_INFO_TYPE)
    return renderNarInfo(narInfoOf(pathInfo))
  }
  app.get('/:hash.narinfo', get) // Fastify answers HEAD by it too
  app.put('/:hash.narinfo', { preHandler: ownerOnly }, async (request, reply) => {
    const text = await wholeText(request, NAR_INFO_LENGTH_MAX)
    await takeIn(hashOf(request), text, components, request, reply)
    return reply.code(204).send()
  })
}

async function takeIn(
  hash: Uint8Array,
  text: string,
  { substituter, uploads, intake, log }: GatewayComponents,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const call = callOf(request, reply)
  const info = parsed(text)
  if (!equalBytes(info.storePath.hash, hash)) {
    throw badRequest(`the narinfo is about ${info.storePath}, another path than the URL's`)
  }
  const uploaded = await uploads.get(info.narSha256, call)
  if (uploaded === undefined) {
    throw badRequest(`no NAR with the NarHash of ${info.storePath} has been uploaded`)
  }
  if (uploaded.narSize !== info.narSize) {
    throw badRequest(
      `the NAR of ${info.storePath} has ${uploaded.narSize} bytes, not ${info.narSize}`,
    )
  }
  const { storePath, narSize, narSha256, references, deriver, ca, signatures } = info
  const fields = { storePath, narSize, narSha256, references, deriver, ca, signatures }
  const taken = await intake.take({ ...fields, node: uploaded.node }, call)
  substituter.forgetMisses()
  log.info('path taken in', { storePath, narSize, shared: taken.shared })
}

function narInfoOf(pathInfo: PathInfo): NarInfo {
  const { storePath, narSha256, narSize, references, deriver, signatures, ca } = pathInfo
  return {
    storePath,
    url: narUrl(pathInfo),
    compression: 'none', // a missing one would mean bzip2
    fileSize: narSize, // Nix shows its progress by it
    narSha256,
    narSize,
    references,
    deriver,
    signatures,
    ca,
  }
}

function hashOf(request: FastifyRequest): Uint8Array {
  const { hash } = request.params as { hash: string }
  try {
    return parseStorePathHash(hash)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    // Not a bad request: caches are asked for all sorts of names, and 404 is harmless.
    throw absent(cause.message)
  }
}

function parsed(text: string): NarInfo {
  try {
    return parseNarInfo(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
