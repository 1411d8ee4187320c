import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { CastoreError } from '../castore/castore-error.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { COMPRESSIONS, compressionOf, decompressed } from '../nar/decompression.ts'
import { ingestNar } from '../nar/ingest-nar.ts'
import { NarError } from '../nar/nar-error.ts'
import { narSizeOf } from '../nar/nar-size.ts'
import { renderNar } from '../nar/render-nar.ts'
import { decodeNixBase32 } from '../nix/nix-base32.ts'
import { NixError } from '../nix/nix-error.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import { parseByteRange } from './byte-range.ts'
import { callOf } from './call-of.ts'
import type { DescribedRoots } from './described-roots.ts'
import type { GatewayComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { rootOfUrl } from './nar-url.ts'
import { ownerOnly } from './owner-only.ts'

const NAR_TYPE = 'application/x-nix-nar'

/** How many bytes of a NAR wait for a slow client. */
const WAITING_BYTES = 1024 * 1024

type RouteComponents = GatewayComponents & { readonly roots: DescribedRoots }

interface FoundNar {
  readonly node: Node
  readonly narSize: number
}

/** `GET` and `HEAD` of NARs by their roots, and of uploaded ones; `PUT /nar/<file>`. */
export function narRoutes(app: FastifyInstance, components: RouteComponents): void {
  for (const prefix of ['/nar/snix-castore', '/nar/tvix-castore']) {
    const find = (request: FastifyRequest, call: Call): Promise<FoundNar> =>
      findByRoot(rootOfUrl((request.params as { root: string }).root), components, call, request)
    addNarRoute(app, `${prefix}/:root`, components, find)
  }
  addNarRoute(app, '/nar/:file', components, (request, call) =>
    findUploaded((request.params as { file: string }).file, components, call),
  )
  app.put('/nar/:file', { preHandler: ownerOnly }, (request, reply) =>
    takeIn(request, reply, components),
  )
}

function addNarRoute(
  app: FastifyInstance,
  url: string,
  { castore }: RouteComponents,
  find: (request: FastifyRequest, call: Call) => Promise<FoundNar>,
): void {
  app.route({
    method: ['GET', 'HEAD'],
    url,
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const call = callOf(request, reply)
      const { node, narSize } = await find(request, call)
      reply.type(NAR_TYPE).header('accept-ranges', 'bytes')
      const isHead = request.method === 'HEAD'
      const range = isHead ? undefined : parseByteRange(request.headers.range, narSize)
      reply.header('content-length', range?.length ?? narSize)
      if (isHead) return reply.send()
      if (range !== undefined) {
        const last = range.offset + range.length - 1
        reply.code(206).header('content-range', `bytes ${range.offset}-${last}/${narSize}`)
      }
      const nar = renderNar(node, castore, call, range)
      return reply.send(Readable.from(nar, { objectMode: false, highWaterMark: WAITING_BYTES }))
    },
  })
}

/** What the URL's root stands for: content that is here, or a path to be obtained first. */
async function findByRoot(
  root: Node,
  { substituter, castore, roots, log }: RouteComponents,
  call: Call,
  request: FastifyRequest,
): Promise<FoundNar> {
  const described = roots.get(root)
  if (described === undefined) {
    if (!(await isHeld(root, castore, call))) throw absent('no such NAR here')
    return { node: root, narSize: await narSizeOf(root, castore.directories, call) }
  }
  if (request.method === 'HEAD') return described
  try {
    const obtained = await substituter.obtain(described.storePath.hash, call)
    if (obtained !== undefined) return obtained
  } catch (error) {
    if (!(error instanceof SubstitutionError)) throw error
    // A peer's failure is never Nix's: it goes on to its next cache.
    log.warn('path could not be obtained', { storePath: described.storePath, error })
  }
  throw absent(`${described.storePath} could not be had`)
}

async function isHeld(
  root: Node,
  castore: RouteComponents['castore'],
  call: Call,
): Promise<boolean> {
  switch (root.type) {
    case 'symlink':
      return true
    case 'file':
      return (await castore.blobs.layouts([root.digest], call))[0] !== undefined
    case 'directory':
      return (await castore.directories.get(root.digest, call)) !== undefined
  }
}

/** An uploaded NAR can be served under the name it came by only where that was uncompressed. */
async function findUploaded(
  file: string,
  { uploads }: RouteComponents,
  call: Call,
): Promise<FoundNar> {
  const uploaded =
    compressionOf(file) === 'none' ? await uploads.get(hashIn(file), call) : undefined
  if (uploaded === undefined) throw absent('no such NAR here')
  return uploaded
}

function hashIn(file: string): Uint8Array {
  try {
    return decodeNixBase32(file.slice(0, -'.nar'.length), 32)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw absent(cause.message)
  }
}

async function takeIn(
  request: FastifyRequest,
  reply: FastifyReply,
  { castore, uploads }: RouteComponents,
): Promise<FastifyReply> {
  const { file } = request.params as { file: string }
  const call = callOf(request, reply)
  const compression = compressionOf(file)
  if (compression === undefined) {
    throw badRequest(`NARs are taken in by these compressions: ${COMPRESSIONS.join(', ')}`)
  }
  const nar = await ingested(decompressed(request.raw, compression), castore, call)
  await uploads.put(nar, call)
  return reply.code(204).send()
}

async function ingested(
  source: AsyncIterable<Uint8Array>,
  castore: RouteComponents['castore'],
  call: Call,
): ReturnType<typeof ingestNar> {
  try {
    return await ingestNar(source, castore, call)
  } catch (cause) {
    call.signal.throwIfAborted()
    if (cause instanceof CastoreError && cause.fault.code !== 'invalid') throw cause
    if (isOwnFailure(cause)) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw badRequest(`the NAR can not be taken in: ${why}`, cause)
  }
}

/** Whether it is this machine that failed, such as by a full disk, and not what was sent. */
function isOwnFailure(error: unknown): boolean {
  if (error instanceof NarError || !(error instanceof Error) || !('code' in error)) return false
  return ['ENOSPC', 'EIO', 'EDQUOT', 'EMFILE', 'EROFS'].includes(String(error.code))
}
