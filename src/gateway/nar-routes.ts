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
import { parseStorePathHash } from '../nix/store-path.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import { parseByteRange } from './byte-range.ts'
import { callOf } from './call-of.ts'
import type { GatewayComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { rootOfUrl } from './nar-url.ts'
import { ownerOnly } from './owner-only.ts'

const NAR_TYPE = 'application/x-nix-nar'

/** How many bytes of a NAR wait for a slow client. */
const WAITING_BYTES = 1024 * 1024

interface FoundNar {
  readonly node: Node
  readonly narSize: number
}

/** `GET` and `HEAD` of NARs by their roots, and of uploaded ones; `PUT /nar/<file>`. */
export function narRoutes(app: FastifyInstance, components: GatewayComponents): void {
  for (const prefix of ['/nar/snix-castore', '/nar/tvix-castore']) {
    addNarRoute(app, `${prefix}/:root`, components, async (request, call) => {
      const { root } = request.params as { root: string }
      const { path } = request.query as { path?: unknown }
      const node = rootOfUrl(root)
      const found =
        typeof path === 'string'
          ? await findByPath(path, request.method, components, call)
          : undefined
      return found ?? (await findByRoot(node, components, call))
    })
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
  { castore }: GatewayComponents,
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

/** What the URL's root stands for, where it is here. */
async function findByRoot(
  node: Node,
  { castore }: GatewayComponents,
  call: Call,
): Promise<FoundNar> {
  if (!(await isHeld(node, castore, call))) throw absent('no such NAR here')
  return { node, narSize: await narSizeOf(node, castore.directories, call) }
}

/**
 * The NAR of the path that the URL was given out for, obtained first where it is not here yet;
 * undefined where nobody has it. Its root may prove to be another than the URL's, when who claimed
 * that one was lying: Nix is given what was signed.
 */
async function findByPath(
  hashText: string,
  method: string,
  { substituter, log }: GatewayComponents,
  call: Call,
): Promise<FoundNar | undefined> {
  const hash = pathHash(hashText)
  try {
    if (method === 'HEAD') return await substituter.describe(hash, call)
    return await substituter.obtain(hash, call)
  } catch (error) {
    if (!(error instanceof SubstitutionError)) throw error
    // A peer's failure is never Nix's: it goes on to its next cache.
    log.warn('path could not be obtained', { hash: hashText, error })
    throw absent(`${hashText} could not be had`)
  }
}

async function isHeld(
  root: Node,
  castore: GatewayComponents['castore'],
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
  { uploads }: GatewayComponents,
  call: Call,
): Promise<FoundNar> {
  const uploaded =
    compressionOf(file) === 'none' ? await uploads.get(hashIn(file), call) : undefined
  if (uploaded === undefined) throw absent('no such NAR here')
  return uploaded
}

function pathHash(text: string): Uint8Array {
  try {
    return parseStorePathHash(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
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
  { castore, uploads }: GatewayComponents,
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
  castore: GatewayComponents['castore'],
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
