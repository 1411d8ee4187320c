import { createHash, type Hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BlobWriter } from '../castore/blob-store.ts'
import { CastoreError } from '../castore/castore-error.ts'
import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import { isEncoding } from '../nar/compressed.ts'
import {
  COMPRESSIONS,
  type Compression,
  compressionOf,
  compressionShownBy,
} from '../nar/compression.ts'
import { decompressed } from '../nar/decompression.ts'
import { type IngestedNar, ingestNar } from '../nar/ingest-nar.ts'
import { NarError } from '../nar/nar-error.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import type { UploadedFile } from '../pathinfo/uploaded-nar.ts'
import { callOf } from './call-of.ts'
import type { RouteComponents } from './gateway-components.ts'
import { badRequest, tooLarge } from './gateway-error.ts'
import { requestBody } from './request-body.ts'
import type { Charge } from './stranger-budget.ts'
import { writerOf } from './writer.ts'

/**
 * `PUT /nar/<file>`: takes a NAR in, however it is compressed. A stranger's counts against a budget
 * until a signed narinfo claims it, and its file has to be named by its hash, as Nix names them, so
 * that nobody can put another in its place.
 * @throws GatewayError
 */
export async function takeInNar(
  fileName: string,
  request: FastifyRequest,
  reply: FastifyReply,
  components: RouteComponents,
): Promise<void> {
  const { tokens, budget, uploads } = components
  const call = callOf(request, reply)
  const named = compressionOf(fileName)
  if (named === undefined) {
    throw badRequest(`NARs are taken in by these compressions: ${COMPRESSIONS.join(', ')}`)
  }
  const coding = request.headers['content-encoding'] ?? 'identity'
  if (coding !== 'identity') throw badRequest('a NAR is sent without a Content-Encoding')
  const charge = writerOf(request, tokens) === 'owner' ? undefined : budget.open()
  const body = requestBody(request, reply, components)
  const shown = named === 'none' ? await compressionShownBy(body) : undefined
  const compression = shown?.compression ?? named
  const upload = { source: shown?.source ?? body, compression }
  const { nar, file } = await ingested(upload, components, charge, call)
  if (charge !== undefined) checkName(fileName, file)
  const isKnown = charge !== undefined && (await uploads.get(nar.narSha256, call)) !== undefined
  await uploads.put(fileName, { ...nar, compression }, call, file)
  if (isKnown) charge.cancel()
  else charge?.settle(nar.narSha256)
}

async function ingested(
  upload: { readonly source: AsyncIterable<Uint8Array>; readonly compression: Compression },
  { castore, limits }: Pick<RouteComponents, 'castore' | 'limits'>,
  charge: Charge | undefined,
  call: Call,
): Promise<{ nar: IngestedNar; file: UploadedFile }> {
  const { compression } = upload
  await using keeping = isEncoding(compression) ? undefined : castore.blobs.create()
  const isPlain = compression === 'none'
  // What is kept beside the content counts, too.
  const isCharged = charge !== undefined && keeping !== undefined
  const source = isCharged ? counted(upload.source, charge) : upload.source
  const received = new ReceivedFile(source, keeping, call, { isPlain })
  const init = charge === undefined ? {} : { allowanceBytes: limits.strangerAllowanceBytes }
  const content = decompressed(received.pieces(), compression, init)
  const charged = charge === undefined ? content : counted(content, charge)
  try {
    const nar = await ingestNar(charged, castore, call)
    return { nar, file: await received.finish(nar) }
  } catch (cause) {
    call.signal.throwIfAborted()
    throw refusal(cause)
  }
}

/** A file on its way in: counted, hashed unless it is the NAR, and kept where it has to be. */
class ReceivedFile {
  readonly #source: AsyncIterable<Uint8Array>
  readonly #keeping: BlobWriter | undefined
  readonly #call: Call
  readonly #hash: Hash | undefined
  #bytes = 0

  constructor(
    source: AsyncIterable<Uint8Array>,
    keeping: BlobWriter | undefined,
    call: Call,
    init: { readonly isPlain: boolean },
  ) {
    this.#source = source
    this.#keeping = keeping
    this.#call = call
    this.#hash = init.isPlain ? undefined : createHash('sha256')
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of this.#source) {
      this.#bytes += piece.length
      this.#hash?.update(piece)
      await this.#keeping?.write(piece, this.#call)
      yield piece
    }
  }

  async finish({ narSha256 }: IngestedNar): Promise<UploadedFile> {
    const own = this.#hash?.digest()
    const fileSha256 = own === undefined ? narSha256 : Uint8Array.from(own)
    const kept: Digest | undefined = await this.#keeping?.commit(this.#call)
    return { fileSize: this.#bytes, fileSha256, kept }
  }
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  charge: Charge,
): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    charge.take(piece.length)
    yield piece
  }
}

function checkName(fileName: string, { fileSha256 }: UploadedFile): void {
  const right = encodeNixBase32(fileSha256)
  if (equalBytes(Buffer.from(fileName.replace(/\.nar.*$/, '')), Buffer.from(right))) return
  throw badRequest(
    `without a token, a file is named by its own hash: this one begins with ${right}`,
  )
}

/** What is told of a failure: whose fault it was decides whether it is a bad request. */
function refusal(cause: unknown): unknown {
  if (cause instanceof NarError && cause.fault.code === 'too-large') {
    return tooLarge(`the NAR can not be taken in: ${cause.message}`)
  }
  const isTheirs =
    cause instanceof NarError || (cause instanceof CastoreError && cause.fault.code === 'invalid')
  if (!isTheirs) return cause
  return badRequest(`the NAR can not be taken in: ${cause.message}`, cause)
}
