import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { equalBytes } from '../foundation/bytes.ts'
import { NAR_INFO_LENGTH_MAX, type NarInfo, parseNarInfo, renderNarInfo } from '../nix/nar-info.ts'
import { NixError } from '../nix/nix-error.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import { callOf } from './call-of.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { takeInNarInfo } from './nar-info-intake.ts'
import { narUrl } from './nar-url.ts'
import { pathHashOf } from './path-hash.ts'
import { accessOf } from './reading.ts'
import { bodyText } from './request-body.ts'
import { writerOf } from './writer.ts'

const NAR_INFO_TYPE = 'text/x-nix-narinfo'

/** `GET`, `HEAD` and `PUT /<hash>.narinfo`. */
export function narInfoRoutes(app: FastifyInstance, components: RouteComponents): void {
  const { substituter, ahead, tokens } = components

  const get = async (request: FastifyRequest, reply: FastifyReply): Promise<string> => {
    const hash = pathHashOf(request)
    const pathInfo = await substituter.describe(hash, callOf(request, reply))
    const isTold = pathInfo !== undefined && accessOf(request, components).shares(pathInfo)
    ahead.described(hash, isTold ? pathInfo : undefined)
    if (!isTold) throw absent('no such path here or around')
    reply.type(NAR_INFO_TYPE)
    return renderNarInfo(narInfoOf(pathInfo))
  }
  app.get('/:hash.narinfo', get) // Fastify answers HEAD by it too
  app.put('/:hash.narinfo', async (request, reply) => {
    const hash = pathHashOf(request)
    const writer = writerOf(request, tokens)
    const text = await bodyText(request, reply, components, { bytesMax: NAR_INFO_LENGTH_MAX })
    const info = parsed(text)
    if (!equalBytes(info.storePath.hash, hash)) {
      throw badRequest(`the narinfo is about ${info.storePath}, another path than the URL's`)
    }
    await takeInNarInfo(info, writer, components, callOf(request, reply))
    return reply.code(204).send()
  })
}

function narInfoOf(facts: PathFacts): NarInfo {
  const { storePath, narSha256, narSize, references, deriver, signatures, ca } = facts
  return {
    storePath,
    url: narUrl(facts),
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

function parsed(text: string): NarInfo {
  try {
    return parseNarInfo(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
