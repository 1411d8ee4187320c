import type { FastifyInstance } from 'fastify'
import { NarError } from '../nar/nar-error.ts'
import { narListing } from '../nar/nar-listing.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import { callOf } from './call-of.ts'
import { REVALIDATED, sendEntity } from './entity-answer.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent } from './gateway-error.ts'
import { pathHashOf } from './path-hash.ts'
import { accessOf, isTold } from './reading.ts'
import { unpackedBody } from './request-body.ts'
import { rootKey } from './whole-roots.ts'
import { ownerOnly } from './writer.ts'

/**
 * `GET`, `HEAD` and `PUT /<hash>.ls`: what is in a path. It is made from the path's Directories,
 * which are all that is fetched of one that only neighbours have, where its root is signed. What
 * Nix uploads says nothing new, so it is read and dropped.
 */
export function listingRoutes(app: FastifyInstance, components: RouteComponents): void {
  const { substituter, contents, limits } = components
  app.route({
    method: ['GET', 'HEAD'],
    url: '/:hash.ls',
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const call = callOf(request, reply)
      try {
        const hash = pathHashOf(request)
        const isShown = await isTold(hash, accessOf(request, components), components, call)
        const pathInfo = isShown ? await substituter.resolve(hash, call) : undefined
        if (pathInfo === undefined) throw absent('no such path here or around')
        const listing = await narListing(pathInfo.node, contents.directories, call)
        return sendEntity(request, reply, {
          type: 'application/json',
          key: `${rootKey(pathInfo.node)}-ls`,
          cacheControl: REVALIDATED,
          size: undefined,
          isCompressible: true,
          read: async function* () {
            for (const piece of listing.pieces()) yield Buffer.from(piece)
          },
        })
      } catch (error) {
        if (!(error instanceof SubstitutionError || error instanceof NarError)) throw error
        throw absent(`there is no listing: ${error.message}`)
      }
    },
  })
  app.put('/:hash.ls', { preHandler: ownerOnly(components) }, async (request, reply) => {
    pathHashOf(request)
    const init = { bytesMax: limits.listingBytesMax }
    for await (const _ of unpackedBody(request, reply, components, init));
    return reply.code(204).send()
  })
}
