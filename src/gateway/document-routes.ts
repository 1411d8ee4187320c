import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { callOf } from './call-of.ts'
import { checkDocument } from './document-check.ts'
import {
  buildTraceName,
  type DocumentName,
  debugInfoName,
  logName,
  realisationName,
} from './document-name.ts'
import { REVALIDATED, sendEntity } from './entity-answer.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent, GatewayError } from './gateway-error.ts'
import { accessOf } from './reading.ts'
import { bodyText, unpackedBody } from './request-body.ts'
import { ownerOnly } from './writer.ts'

type Params = Readonly<Record<string, string>>

/**
 * `GET`, `HEAD` and `PUT` of what a cache has beside paths: build logs, realisations and build
 * traces of content-addressed derivations, and where debug info is.
 */
export function documentRoutes(app: FastifyInstance, components: RouteComponents): void {
  const routes: Readonly<Record<string, (params: Params) => DocumentName>> = {
    '/log/:name': ({ name }) => logName(name!),
    '/realisations/:name': ({ name }) => realisationName(name!),
    '/build-trace-v2/:derivation/:output': (it) => buildTraceName(it.derivation!, it.output!),
    '/debuginfo/:name': ({ name }) => debugInfoName(name!),
  }
  for (const [url, nameOf] of Object.entries(routes)) {
    app.route({
      method: ['GET', 'HEAD'],
      url,
      exposeHeadRoute: false,
      handler: (request, reply) => send(harmless(request, nameOf), request, reply, components),
    })
    app.put(url, { preHandler: ownerOnly(components) }, async (request, reply) => {
      await takeIn(nameOf(request.params as Params), request, reply, components)
      return reply.code(204).send()
    })
  }
}

async function send(
  { kind, name }: DocumentName,
  request: FastifyRequest,
  reply: FastifyReply,
  components: RouteComponents,
): Promise<FastifyReply> {
  const call = callOf(request, reply)
  const mayRead = accessOf(request, components).sharesDocuments
  const blob = mayRead ? await components.documents.open(kind, name, call) : undefined
  if (blob === undefined) throw absent('no such document here')
  return sendEntity(request, reply, {
    type: kind === 'log' ? 'text/plain; charset=utf-8' : 'application/json',
    key: blob.digest.hex,
    cacheControl: REVALIDATED,
    size: blob.size,
    isCompressible: true,
    read: (range) => blob.read(range?.offset ?? 0, call, range?.length),
  })
}

async function takeIn(
  document: DocumentName,
  request: FastifyRequest,
  reply: FastifyReply,
  components: RouteComponents,
): Promise<void> {
  const { documents, limits } = components
  const call = callOf(request, reply)
  const { kind, name } = document
  if (kind === 'log') {
    const body = unpackedBody(request, reply, components, { bytesMax: limits.logBytesMax })
    return await documents.put(kind, name, body, call)
  }
  const text = await bodyText(request, reply, components, {
    bytesMax: limits.smallDocumentBytesMax,
  })
  checkDocument(document, text)
  await documents.putSmall(kind, name, Buffer.from(text), call)
}

/** Who asks for a name that can not be is told that it is not here, as for any other. */
function harmless(request: FastifyRequest, nameOf: (params: Params) => DocumentName): DocumentName {
  try {
    return nameOf(request.params as Params)
  } catch (cause) {
    if (cause instanceof GatewayError) throw absent(cause.message)
    throw cause
  }
}
