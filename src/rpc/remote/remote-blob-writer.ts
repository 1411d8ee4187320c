import type { BlobWriter } from '../../castore/blob-store.ts'
import type { Call } from '../../foundation/call.ts'
import { Digest, DigestBuilder } from '../../foundation/digest.ts'
import { PutBlobResponse } from '../../generated/tvix/castore/v1/rpc_blobstore.ts'
import { BLOB_CHUNK_CODEC } from '../blob-chunk-codec.ts'
import { PIECE_BYTES_MAX } from '../rpc-limits.ts'
import type { RemoteChannel, RemoteMethod } from './remote-channel.ts'
import { badAnswer } from './remote-error.ts'
import type { RemoteUpload } from './remote-upload.ts'

const PUT: RemoteMethod<Uint8Array, PutBlobResponse> = {
  service: 'BlobService',
  method: 'Put',
  request: BLOB_CHUNK_CODEC,
  response: PutBlobResponse,
}

/** Sends one blob to a remote store; what that says it got must be what was sent. */
export class RemoteBlobWriter implements BlobWriter {
  readonly #address: string
  readonly #upload: RemoteUpload<Uint8Array, PutBlobResponse>
  readonly #builder = new DigestBuilder()

  constructor(components: { channel: RemoteChannel }) {
    this.#address = components.channel.address
    this.#upload = components.channel.upload(PUT)
  }

  async write(bytes: Uint8Array, call: Call): Promise<void> {
    this.#builder.update(bytes)
    for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
      await this.#upload.send(bytes.subarray(at, at + PIECE_BYTES_MAX), call)
    }
  }

  async commit(call: Call): Promise<Digest> {
    const { digest } = await this.#upload.finish(call)
    const sent = this.#builder.finish()
    if (digest.length === sent.bytes.length && Digest.of(digest).equals(sent)) return sent
    throw badAnswer(this.#address, `says that it got another blob than ${sent}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#upload[Symbol.asyncDispose]()
  }
}
