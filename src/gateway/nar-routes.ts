import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { compressed } from '../nar/compression.ts'
import { COMPRESSIONS, type Compression } from '../nar/decompression.ts'
import { narSizeOf } from '../nar/nar-size.ts'
import { renderNar } from '../nar/render-nar.ts'
import { NixError } from '../nix/nix-error.ts'
import { parseStorePathHash } from '../nix/store-path.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import { parseByteRange } from './byte-range.ts'
import { callOf } from './call-of.ts'
import type { GatewayComponents } from './gateway-components.ts'
import { absent, badRequest } from './gateway-error.ts'
import { takeInNar } from './nar-upload.ts'
import { rootOfUrl } from './nar-url.ts'
import { ownerOnly } from './owner-only.ts'

const NAR_TYPE = 'application/x-nix-nar'

/** How many bytes of a NAR wait for a slow client. */
const WAITING_BYTES = 1024 * 1024

interface FoundNar {
  readonly node: Node
  readonly narSize: number
  /** How the client expects it; not at all where it is left out. */
  readonly compression?: Compression
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
    takeInNar(request, reply, components),
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
      const { node, narSize, compression = 'none' } = await find(request, call)
      reply.type(NAR_TYPE)
      if (compression !== 'none') {
        // Made anew, so neither its length nor any part of it is known beforehand.
        if (request.method === 'HEAD') return reply.send()
        return reply.send(compressed(streamOf(renderNar(node, castore, call)), compression))
      }
      reply.header('accept-ranges', 'bytes')
      const isHead = request.method === 'HEAD'
      const range = isHead ? undefined : parseByteRange(request.headers.range, narSize)
      reply.header('content-length', range?.length ?? narSize)
      if (isHead) return reply.send()
      if (range !== undefined) {
        const last = range.offset + range.length - 1
        reply.code(206).header('content-range', `bytes ${range.offset}-${last}/${narSize}`)
      }
      return reply.send(streamOf(renderNar(node, castore, call, range)))
    },
  })
}

function streamOf(nar: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(nar, { objectMode: false, highWaterMark: WAITING_BYTES })
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

/**
 * An uploaded NAR, under the name of its file: who uploaded it remembers that, and how it was
 * compressed, for as long as any narinfo.
 */
async function findUploaded(
  file: string,
  { uploads, castore }: GatewayComponents,
  call: Call,
): Promise<FoundNar> {
  const uploaded = await uploads.getFile(file, call)
  if (uploaded === undefined || !(await isHeld(uploaded.node, castore, call))) {
    throw absent('no such NAR here')
  }
  const compression = COMPRESSIONS.find((it) => it === uploaded.compression)
  if (compression === undefined) throw absent('no such NAR here')
  return { ...uploaded, compression }
}

function pathHash(text: string): Uint8Array {
  try {
    return parseStorePathHash(text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
}
