import {
  type BlobReader,
  type BlobStore,
  type BlobWriter,
  type ChunkRef,
  EMPTY_BLOB,
} from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { Outboard } from '../../castore/verified/outboard.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import { TreeShape } from '../../castore/verified/tree-shape.ts'
import { concatBytes } from '../../foundation/bytes.ts'
import type { Call } from '../../foundation/call.ts'
import { DIGEST_BYTES, Digest, DigestBuilder } from '../../foundation/digest.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import { StatBlobRequest, StatBlobResponse } from '../../generated/tvix/castore/v1/rpc_blobstore.ts'
import { REMOTE_CALLS_MAX, REMOTE_CHUNK_BYTES_MAX } from '../rpc-limits.ts'
import { READ_METHOD, RemoteBlobReader } from './remote-blob-reader.ts'
import { RemoteBlobWriter } from './remote-blob-writer.ts'
import type { RemoteChannel, RemoteMethod } from './remote-channel.ts'
import { badAnswer, RemoteError } from './remote-error.ts'

const STAT: RemoteMethod<StatBlobRequest, StatBlobResponse> = {
  service: 'BlobService',
  method: 'Stat',
  request: StatBlobRequest,
  response: StatBlobResponse,
}

/**
 * Blobs of another node, or of any server that speaks tvix's BlobService. What comes from there is
 * checked against its digest. The service knows blobs only: a chunk goes in as a blob of its own,
 * and a blob is assembled by reading its chunks back and sending the whole.
 */
export class RemoteBlobStore implements BlobStore {
  readonly #channel: RemoteChannel

  constructor(components: { channel: RemoteChannel }) {
    this.#channel = components.channel
  }

  async layouts(
    digests: readonly Digest[],
    call: Call,
  ): Promise<(readonly ChunkRef[] | undefined)[]> {
    return await each(digests, (digest) => this.#layout(digest, call))
  }

  /** @throws RemoteError 'too-large' where one is no chunk but a long blob */
  async readChunks(digests: readonly Digest[], call: Call): Promise<(Uint8Array | undefined)[]> {
    return await each(digests, (digest) => this.#readChunk(digest, call))
  }

  async chunkSizes(digests: readonly Digest[], call: Call): Promise<(number | undefined)[]> {
    const layouts = await this.layouts(digests, call)
    return layouts.map((layout) => layout?.reduce((sum, { size }) => sum + size, 0))
  }

  async outboard(digest: Digest, call: Call): Promise<Outboard | undefined> {
    if (digest.equals(EMPTY_BLOB)) return new Outboard(digest, 0, new Uint8Array(0))
    const request = { digest: digest.bytes, sendChunks: true, sendBao: true }
    const answer = await this.#channel.unary(STAT, request, call)
    if (answer === undefined || answer.chunks.length === 0) return undefined
    const size = answer.chunks.reduce((sum, chunk) => sum + this.#chunkRef(chunk).size, 0)
    try {
      const isLeftOut = answer.bao.length === 0 && new TreeShape(size).outboardBytes > 0
      return isLeftOut ? undefined : new Outboard(digest, size, answer.bao)
    } catch (cause) {
      if (!(cause instanceof ProofError)) throw cause
      throw badAnswer(this.#channel.address, 'sent no outboard of the blob', cause)
    }
  }

  async open(digest: Digest, call: Call): Promise<BlobReader | undefined> {
    const layout = await this.#layout(digest, call)
    if (layout === undefined) return undefined
    return new RemoteBlobReader({ channel: this.#channel, source: this }, { digest, layout })
  }

  create(): BlobWriter {
    return new RemoteBlobWriter({ channel: this.#channel })
  }

  async putSmall(contents: readonly Uint8Array[], call: Call): Promise<Digest[]> {
    return await each(contents, async (bytes) => {
      await using writer = this.create()
      await writer.write(bytes, call)
      return await writer.commit(call)
    })
  }

  async putChunks(
    chunks: readonly { digest: Digest; bytes: Uint8Array }[],
    call: Call,
  ): Promise<void> {
    for (const { digest, bytes } of chunks) {
      if (!Digest.ofContent(bytes).equals(digest)) throw mismatch(digest, 'a chunk')
    }
    await this.putSmall(
      chunks.map(({ bytes }) => bytes),
      call,
    )
  }

  /** All bytes travel twice: the service has no call that puts together what is there already. */
  async assemble(digest: Digest, layout: readonly ChunkRef[], call: Call): Promise<void> {
    const held = await this.chunkSizes(
      layout.map((chunk) => chunk.digest),
      call,
    )
    const missing = layout.find((_, i) => held[i] === undefined)
    if (missing !== undefined) throw incomplete(missing.digest)
    const builder = new DigestBuilder()
    await using writer = this.create()
    const chunks = readAhead(layout, 1, (chunk) => this.#readChunk(chunk.digest, call))
    for await (const bytes of chunks) {
      if (bytes === undefined) throw incomplete(digest)
      builder.update(bytes)
      await writer.write(bytes, call)
    }
    // Checked before it is committed: of a wrong list nothing is kept over there.
    if (!builder.finish().equals(digest)) throw mismatch(digest, 'a blob')
    await writer.commit(call)
  }

  async #layout(digest: Digest, call: Call): Promise<readonly ChunkRef[] | undefined> {
    if (digest.equals(EMPTY_BLOB)) return []
    const request = { digest: digest.bytes, sendChunks: true, sendBao: false }
    const answer = await this.#channel.unary(STAT, request, call)
    if (answer === undefined) return undefined
    if (answer.chunks.length > 0) return answer.chunks.map((chunk) => this.#chunkRef(chunk))
    // Not every server tells chunks, and without them nothing tells the length but reading.
    const size = await this.#lengthOf(digest, call)
    return size === undefined ? undefined : [{ digest, size }]
  }

  #chunkRef({ digest, size }: { digest: Uint8Array; size: number }): ChunkRef {
    if (digest.length === DIGEST_BYTES && size > 0) return { digest: Digest.of(digest), size }
    throw badAnswer(this.#channel.address, 'sent a chunk list with an empty or nameless chunk')
  }

  async #lengthOf(digest: Digest, call: Call): Promise<number | undefined> {
    let absent = false
    let size = 0
    const pieces = this.#channel.download(
      READ_METHOD,
      { digest: digest.bytes },
      () => {
        absent = true
      },
      call,
    )
    for await (const piece of pieces) size += piece.length
    return absent ? undefined : size
  }

  async #readChunk(digest: Digest, call: Call): Promise<Uint8Array | undefined> {
    const { address } = this.#channel
    let absent = false
    const onAbsent = (): void => {
      absent = true
    }
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of this.#channel.download(
      READ_METHOD,
      { digest: digest.bytes },
      onAbsent,
      call,
    )) {
      pieces.push(piece)
      size += piece.length
      if (size <= REMOTE_CHUNK_BYTES_MAX) continue
      const what = `${digest} at ${address} has more than ${REMOTE_CHUNK_BYTES_MAX} bytes`
      throw new RemoteError({ code: 'too-large', address }, what)
    }
    if (absent) return undefined
    const bytes = concatBytes(pieces)
    if (!Digest.ofContent(bytes).equals(digest)) throw mismatch(digest, `what ${address} sent`)
    return bytes
  }
}

/** Works on many at once, and keeps their order. */
async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for await (const result of readAhead(items, REMOTE_CALLS_MAX - 1, work)) results.push(result)
  return results
}

function mismatch(digest: Digest, what: string): CastoreError {
  const fault = { code: 'digest-mismatch', digest: digest.hex } as const
  return new CastoreError(fault, `${what} does not hash to its digest ${digest}`)
}

function incomplete(digest: Digest): CastoreError {
  const what = `chunk ${digest} is not held`
  return new CastoreError({ code: 'incomplete', digest: digest.hex }, what)
}
