import {
  type BlobReader,
  type BlobSource,
  blobBytes,
  type ChunkRef,
} from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { chunksCovering } from '../../castore/stores/chunk-windows.ts'
import type { Outboard } from '../../castore/verified/outboard.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import { provenRange } from '../../castore/verified/proven-range.ts'
import type { Span } from '../../castore/verified/tree-shape.ts'
import type { Call } from '../../foundation/call.ts'
import { type Digest, DigestBuilder } from '../../foundation/digest.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import { SingleFlight } from '../../foundation/single-flight.ts'
import { ReadBlobRequest } from '../../generated/tvix/castore/v1/rpc_blobstore.ts'
import { BLOB_CHUNK_CODEC } from '../blob-chunk-codec.ts'
import { REMOTE_CHUNK_BYTES_MAX } from '../rpc-limits.ts'
import type { RemoteChannel, RemoteMethod } from './remote-channel.ts'

/** How many chunks of a part are on their way beyond the one that the consumer has. */
const CHUNKS_AHEAD = 3

/** Reading a blob or a chunk. */
export const READ_METHOD: RemoteMethod<ReadBlobRequest, Uint8Array> = {
  service: 'BlobService',
  method: 'Read',
  request: ReadBlobRequest,
  response: BLOB_CHUNK_CODEC,
}

/**
 * A blob of a remote store. The whole is streamed and hashed as it comes. Of a part only the chunks
 * that cover it are read, where the other side gives an outboard to prove them by, as cairn does:
 * its chunk list alone may be wrong, however right each chunk is. Where it gives none, as tvix and
 * snix do not, less than the whole proves nothing, and the part costs that. What is not the blob
 * ends in an error, never as if it were complete; of a proven part, not a byte of it is handed out.
 */
export class RemoteBlobReader implements BlobReader {
  readonly size: number
  readonly #channel: RemoteChannel
  readonly #source: Pick<BlobSource, 'outboard' | 'readChunks'>
  readonly #digest: Digest
  readonly #layout: readonly ChunkRef[]
  readonly #asking = new SingleFlight<Outboard | undefined>()
  /** What the other side gave: `false` before it has been asked. */
  #outboard: Outboard | undefined | false = false

  constructor(
    components: {
      channel: RemoteChannel
      /** The store that the blob is in. */
      source: Pick<BlobSource, 'outboard' | 'readChunks'>
    },
    init: { digest: Digest; layout: readonly ChunkRef[] },
  ) {
    this.#channel = components.channel
    this.#source = components.source
    this.#digest = init.digest
    this.#layout = init.layout
    this.size = blobBytes(init.layout)
  }

  async *read(offset: number, call: Call, length = Infinity): AsyncGenerator<Uint8Array> {
    if (offset >= this.size || length === 0) return
    const range = { from: offset, to: Math.min(offset + length, this.size) }
    const outboard = this.#isPart(range) ? await this.#outboardGiven(call) : undefined
    if (outboard === undefined) yield* this.#hashed(range, call)
    else yield* this.#proven(outboard, range, call)
  }

  /** Whether reading all of it would be more than reading some of its chunks. */
  #isPart(range: Span): boolean {
    const { chunks } = chunksCovering(this.#layout, range)
    const canBeRead = chunks.every(({ size }) => size <= REMOTE_CHUNK_BYTES_MAX)
    return canBeRead && chunks.length < this.#layout.length
  }

  async #outboardGiven(call: Call): Promise<Outboard | undefined> {
    if (this.#outboard !== false) return this.#outboard
    const ask = (shared: Call) => this.#source.outboard(this.#digest, shared)
    const given = await this.#asking.run('outboard', ask, call)
    if (given !== undefined && given.shape.size !== this.size) throw this.#mismatch()
    this.#outboard = given
    return given
  }

  async *#proven(outboard: Outboard, { from, to }: Span, call: Call): AsyncGenerator<Uint8Array> {
    const range = { offset: from, length: to - from }
    try {
      yield* provenRange(outboard, range, (span) => this.#chunks(span, call), call)
    } catch (error) {
      throw error instanceof ProofError ? this.#mismatch(error) : error
    }
  }

  async *#chunks({ from, to }: Span, call: Call): AsyncGenerator<Uint8Array> {
    const covering = chunksCovering(this.#layout, { from, to })
    let at = covering.from
    const read = async ({ digest, size }: ChunkRef): Promise<Uint8Array> => {
      const [bytes] = await this.#source.readChunks([digest], call)
      if (bytes === undefined) throw missing(digest)
      if (bytes.length !== size) throw this.#mismatch()
      return bytes
    }
    for await (const bytes of readAhead(covering.chunks, CHUNKS_AHEAD, read)) {
      yield bytes.subarray(Math.max(from - at, 0), to - at)
      at += bytes.length
    }
  }

  /** All of the blob is read and hashed, and what lies in the range handed out. */
  async *#hashed({ from, to }: Span, call: Call): AsyncGenerator<Uint8Array> {
    const builder = new DigestBuilder()
    let at = 0
    const request = { digest: this.#digest.bytes }
    const onAbsent = (): never => {
      throw missing(this.#digest)
    }
    for await (const piece of this.#channel.download(READ_METHOD, request, onAbsent, call)) {
      call.signal.throwIfAborted()
      builder.update(piece)
      const wanted = piece.subarray(Math.max(0, from - at), Math.max(0, to - at))
      at += piece.length
      if (at > this.size) break
      if (wanted.length > 0) yield wanted
    }
    call.signal.throwIfAborted()
    if (at !== this.size || !builder.finish().equals(this.#digest)) throw this.#mismatch()
  }

  #mismatch(cause?: unknown): CastoreError {
    const fault = { code: 'digest-mismatch', digest: this.#digest.hex } as const
    const what = `what ${this.#channel.address} sent is not blob ${this.#digest}`
    return new CastoreError(fault, what, cause === undefined ? undefined : { cause })
  }
}

function missing(digest: Digest): CastoreError {
  const what = `${digest} is not held any more`
  return new CastoreError({ code: 'incomplete', digest: digest.hex }, what)
}
