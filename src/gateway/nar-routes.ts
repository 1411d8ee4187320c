import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Call } from '../foundation/call.ts'
import type { Semaphore } from '../foundation/semaphore.ts'
import { compressed, isEncoding } from '../nar/compressed.ts'
import { callOf } from './call-of.ts'
import { type Entity, IMMUTABLE, REVALIDATED, rangesAsked, sendEntity } from './entity-answer.ts'
import type { RouteComponents } from './gateway-components.ts'
import { absent } from './gateway-error.ts'
import { narFileName } from './nar-file-name.ts'
import { type AskedNar, type FoundNar, narOfFile, narOfPath, narOfRoot } from './nar-finder.ts'
import { takeInNar } from './nar-upload.ts'
import { narHashOfUrl, rootOfUrl } from './nar-url.ts'
import { accessOf } from './reading.ts'

const NAR_TYPE = 'application/x-nix-nar'

/** `GET` and `HEAD` of NARs by their roots, and of uploaded ones; `PUT /nar/<file>`. */
export function narRoutes(app: FastifyInstance, components: RouteComponents): void {
  for (const prefix of ['/nar/snix-castore', '/nar/tvix-castore']) {
    addNarRoute(app, `${prefix}/:root`, components, async (request, extent, call) => {
      const root = rootOfUrl((request.params as { root: string }).root)
      const { path: hash } = request.query as { path?: unknown }
      const finder = { ...components, access: accessOf(request, components) }
      const found =
        typeof hash === 'string'
          ? await narOfPath({ hash, of: { root }, extent }, finder, call)
          : undefined
      return found ?? (await narOfRoot(root, finder, call))
    })
  }
  addNarRoute(app, '/nar/:file', components, async (request, extent, call) => {
    const finder = { ...components, access: accessOf(request, components) }
    const { path: hash } = request.query as { path?: unknown }
    if (typeof hash === 'string') {
      const of = { narSha256: narHashOfUrl(fileOf(request)) }
      const found = await narOfPath({ hash, of, extent }, finder, call)
      if (found !== undefined) return found
    }
    return await narOfFile(fileOf(request), finder, call)
  })
  app.put('/nar/:file', async (request, reply) => {
    await takeInNar(narFileName(fileOf(request)), request, reply, components)
    return reply.code(204).send()
  })
}

function addNarRoute(
  app: FastifyInstance,
  url: string,
  components: RouteComponents,
  find: (request: FastifyRequest, extent: AskedNar['extent'], call: Call) => Promise<FoundNar>,
): void {
  app.route({
    method: ['GET', 'HEAD'],
    url,
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const call = callOf(request, reply)
      const { method, headers } = request
      const extent = method === 'HEAD' ? 'head' : headers.range === undefined ? 'whole' : 'part'
      const nar = await find(request, extent, call)
      const entity = await entityOf(nar, components, call)
      const isTooMuch = extent === 'part' && !nar.isHeld && asksForAll(request, entity)
      if (!isTooMuch) return sendEntity(request, reply, entity)
      const held = await find(request, 'whole', call)
      return sendEntity(request, reply, await entityOf(held, components, call))
    },
  })
}

/** Whether the answer is the whole, though the request names ranges. */
function asksForAll(request: FastifyRequest, entity: Entity): boolean {
  const ranges = rangesAsked(request, entity)
  return ranges === undefined || ranges.some(({ length }) => length === entity.size)
}

async function entityOf(
  { key, narSize, compression, kept, isImmutable, ...found }: FoundNar,
  { castore, sending }: Pick<RouteComponents, 'castore' | 'sending'>,
  call: Call,
): Promise<Entity> {
  const cacheControl = isImmutable ? IMMUTABLE : REVALIDATED
  const shared = { type: NAR_TYPE, cacheControl }
  if (kept !== undefined) {
    const blob = await castore.blobs.open(kept.digest, call)
    if (blob === undefined) throw absent('no such NAR here')
    const read: Entity['read'] = (range) =>
      inTurn(blob.read(range?.offset ?? 0, call, range?.length), sending, call)
    return { ...shared, key: kept.digest.hex, size: kept.size, isCompressible: false, read }
  }
  const nar: Entity['read'] = (range) => inTurn(found.nar(range, call), sending, call)
  if (compression === 'none') {
    return { ...shared, key, size: narSize, isCompressible: true, read: nar }
  }
  if (!isEncoding(compression)) throw absent('no such NAR here')
  const read: Entity['read'] = () =>
    compressed(Readable.from(nar(undefined), { objectMode: false }), compression)
  const isCompressible = false
  return { ...shared, key: `${key}-${compression}`, size: undefined, isCompressible, read }
}

/** Begins to read only when there is room for one more to be sent. */
async function* inTurn(
  source: AsyncIterable<Uint8Array>,
  sending: Semaphore,
  call: Call,
): AsyncGenerator<Uint8Array> {
  using _room = await sending.acquire(1, call)
  yield* source
}

function fileOf(request: FastifyRequest): string {
  return (request.params as { file: string }).file
}
