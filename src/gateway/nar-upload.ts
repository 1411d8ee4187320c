import type { FastifyReply, FastifyRequest } from 'fastify'
import { CastoreError } from '../castore/castore-error.ts'
import type { Call } from '../foundation/call.ts'
import {
  COMPRESSIONS,
  compressionOf,
  compressionShownBy,
  decompressed,
} from '../nar/decompression.ts'
import { ingestNar } from '../nar/ingest-nar.ts'
import { NarError } from '../nar/nar-error.ts'
import { callOf } from './call-of.ts'
import type { GatewayComponents } from './gateway-components.ts'
import { badRequest } from './gateway-error.ts'

/** `PUT /nar/<file>`: takes a NAR in, however it is compressed. */
export async function takeInNar(
  request: FastifyRequest,
  reply: FastifyReply,
  { castore, uploads }: GatewayComponents,
): Promise<FastifyReply> {
  const { file } = request.params as { file: string }
  const call = callOf(request, reply)
  const named = compressionOf(file)
  if (named === undefined) {
    throw badRequest(`NARs are taken in by these compressions: ${COMPRESSIONS.join(', ')}`)
  }
  const compression = named === 'none' ? await compressionShownBy(request.raw) : named
  const nar = await ingested(decompressed(request.raw, compression), castore, call)
  await uploads.put(file, { ...nar, compression }, call)
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
