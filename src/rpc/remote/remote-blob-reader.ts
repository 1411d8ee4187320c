import type { BlobReader } from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import type { Call } from '../../foundation/call.ts'
import { type Digest, DigestBuilder } from '../../foundation/digest.ts'
import { ReadBlobRequest } from '../../generated/tvix/castore/v1/rpc_blobstore.ts'
import { BLOB_CHUNK_CODEC } from '../blob-chunk-codec.ts'
import type { RemoteChannel, RemoteMethod } from './remote-channel.ts'

/** Reading a blob or a chunk. */
export const READ_METHOD: RemoteMethod<ReadBlobRequest, Uint8Array> = {
  service: 'BlobService',
  method: 'Read',
  request: ReadBlobRequest,
  response: BLOB_CHUNK_CODEC,
}

/**
 * A blob of a remote store, streamed. All of it is hashed, so that reading from the middle fetches
 * the beginning, too: less than the whole proves nothing, since the list of chunks that the other
 * side gives may be wrong. What does not hash to the blob's digest ends in an error, never as if
 * it were whole.
 */
export class RemoteBlobReader implements BlobReader {
  readonly size: number
  readonly #channel: RemoteChannel
  readonly #digest: Digest

  constructor(components: { channel: RemoteChannel }, init: { digest: Digest; size: number }) {
    this.#channel = components.channel
    this.#digest = init.digest
    this.size = init.size
  }

  async *read(offset: number, call: Call, length = Infinity): AsyncGenerator<Uint8Array> {
    if (offset >= this.size || length === 0) return
    const builder = new DigestBuilder()
    let at = 0
    const request = { digest: this.#digest.bytes }
    const onAbsent = (): never => {
      const what = `blob ${this.#digest} is not held any more`
      throw new CastoreError({ code: 'incomplete', digest: this.#digest.hex }, what)
    }
    for await (const piece of this.#channel.download(READ_METHOD, request, onAbsent, call)) {
      call.signal.throwIfAborted()
      builder.update(piece)
      const skip = Math.max(0, offset - at)
      const wanted = piece.subarray(skip, Math.max(0, offset + length - at))
      at += piece.length
      if (at > this.size) break
      if (wanted.length > 0) yield wanted
    }
    call.signal.throwIfAborted()
    if (at === this.size && builder.finish().equals(this.#digest)) return
    const fault = { code: 'digest-mismatch', digest: this.#digest.hex } as const
    const { address } = this.#channel
    throw new CastoreError(fault, `what ${address} sent is not blob ${this.#digest}`)
  }
}
