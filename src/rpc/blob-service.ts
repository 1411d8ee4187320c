import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { BlobReader, BlobSource, ChunkRef } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import type { Outboard } from '../castore/verified/outboard.ts'
import { TreeShape } from '../castore/verified/tree-shape.ts'
import type { Call } from '../foundation/call.ts'
import { DIGEST_BYTES, Digest } from '../foundation/digest.ts'
import {
  PutBlobResponse,
  ReadBlobRequest,
  StatBlobRequest,
  StatBlobResponse,
} from '../generated/tvix/castore/v1/rpc_blobstore.ts'
import { BLOB_CHUNK_CODEC } from './blob-chunk-codec.ts'
import { type CallHandlers, ownerOnly } from './call-handlers.ts'
import type { Readers } from './readers.ts'
import { rpcError } from './rpc-error.ts'
import { PIECE_BYTES_MAX, STAT_BAO_BYTES_MAX, STAT_CHUNKS_MAX } from './rpc-limits.ts'

/** `BlobService` of tvix.castore.v1 and snix.castore.v1. */
export function blobService(
  components: { readonly castore: Castore; readonly readers: Readers },
  handlers: CallHandlers,
): UntypedServiceImplementation {
  const { castore, readers } = components
  return {
    Stat: handlers.unary(StatBlobRequest, StatBlobResponse, async (request, call) => {
      const digest = requestedDigest(request.digest)
      const { blobs } = readers.castoreFor(call)
      const [layout] = await blobs.layouts([digest], call)
      if (layout === undefined) throw rpcError('not-found', `blob ${digest} is not held`)
      const told = request.sendChunks && layout.length <= STAT_CHUNKS_MAX ? layout : []
      const chunks = told.map((chunk) => ({ digest: chunk.digest.bytes, size: chunk.size }))
      const outboard = request.sendBao ? await toldOutboard(digest, layout, blobs, call) : undefined
      return { chunks, bao: outboard?.bytes ?? new Uint8Array(0) }
    }),
    Read: handlers.download(ReadBlobRequest, BLOB_CHUNK_CODEC, async (request, send, call) => {
      const digest = requestedDigest(request.digest)
      const reader = await readers.castoreFor(call).blobs.open(digest, call)
      if (reader === undefined) throw rpcError('not-found', `blob ${digest} is not held`)
      for await (const piece of piecesOf(reader, call)) await send(piece)
    }),
    Put: handlers.upload(BLOB_CHUNK_CODEC, PutBlobResponse, async (pieces, call) => {
      ownerOnly(call)
      await using writer = castore.blobs.create()
      for await (const piece of pieces) await writer.write(piece, call)
      const digest = await writer.commit(call)
      await castore.sync(call)
      return { digest: digest.bytes }
    }),
  }
}

/** The digest that a request names. @throws RpcError 'bad-request' */
export function requestedDigest(bytes: Uint8Array): Digest {
  if (bytes.length === DIGEST_BYTES) return Digest.of(Uint8Array.from(bytes))
  throw rpcError('bad-request', `a digest has ${DIGEST_BYTES} bytes, not ${bytes.length}`)
}

/** What proves ranges of a blob, unless it is too long for one message. */
async function toldOutboard(
  digest: Digest,
  layout: readonly ChunkRef[],
  blobs: BlobSource,
  call: Call,
): Promise<Outboard | undefined> {
  const size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
  if (new TreeShape(size).outboardBytes > STAT_BAO_BYTES_MAX) return undefined
  return await blobs.outboard(digest, call)
}

async function* piecesOf(reader: BlobReader, call: Call): AsyncGenerator<Uint8Array> {
  for await (const bytes of reader.read(0, call)) {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
      yield bytes.subarray(at, at + PIECE_BYTES_MAX)
    }
  }
}
