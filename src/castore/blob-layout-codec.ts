import { Digest } from '../foundation/digest.ts'
import { BlobLayout } from '../generated/cairn/store/v1/record.ts'
import type { ChunkRef } from './blob-store.ts'
import { CastoreError, invalid } from './castore-error.ts'

/** The stored and exchanged form of a chunk list, `cairn.store.v1.BlobLayout`. */
export function encodeBlobLayout(layout: readonly ChunkRef[]): Uint8Array {
  return BlobLayout.encode(toWireLayout(layout)).finish()
}

/** Reads a chunk list. @throws CastoreError */
export function decodeBlobLayout(encoded: Uint8Array): ChunkRef[] {
  let message: BlobLayout
  try {
    message = BlobLayout.decode(encoded)
  } catch (cause) {
    const what = 'no well-formed chunk list'
    throw new CastoreError({ code: 'invalid', what }, what, { cause })
  }
  return fromWireLayout(message)
}

/** The message's fields for a chunk list. */
export function toWireLayout(layout: readonly ChunkRef[]): BlobLayout {
  return { chunks: layout.map(({ digest, size }) => ({ digest: digest.bytes, size })) }
}

/** The chunk list of a message's fields. @throws CastoreError where a chunk is empty or nameless */
export function fromWireLayout(message: BlobLayout): ChunkRef[] {
  return message.chunks.map(({ digest, size }) => {
    if (digest.length !== 32) throw invalid('a chunk list names each chunk by a digest of 32 bytes')
    if (size === 0) throw invalid('a chunk list has no empty chunks')
    return { digest: Digest.of(digest), size }
  })
}
