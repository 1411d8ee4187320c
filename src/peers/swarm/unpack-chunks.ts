import type { PackedBytes } from '../../castore/record-store.ts'
import { PACKED_CHUNK_BYTES_MAX } from '../../castore/stores/chunk-packer.ts'
import { unpacked } from '../../castore/stores/record-content.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { ChunkAnswer } from '../exchange/want.ts'
import { peerError } from '../peer-error.ts'

/** A chunk as it came from a peer, not proven. */
export interface ArrivedChunk {
  readonly index: number
  readonly bytes: Uint8Array
  /** The frame that it came in, if it did: it is stored like that. */
  readonly stored?: PackedBytes
}

/**
 * The chunks of an answer to what was wanted. Nothing is unpacked to more than was promised, and a
 * frame that is no shorter than its chunk is refused: it would be stored.
 * @throws PeerError 'content-corrupt'
 */
export function unpackChunks(
  peer: string,
  chunks: readonly ChunkAnswer[],
  wanted: readonly Digest[],
): ArrivedChunk[] | Promise<ArrivedChunk[]> {
  if (chunks.every(({ size }) => size === undefined)) {
    return chunks.map(({ index, data }) => ({ index, bytes: data }))
  }
  return Promise.all(
    chunks.map(async ({ index, data, size }) => {
      if (size === undefined) return { index, bytes: data }
      const isPlausible = data.length < size && size <= PACKED_CHUNK_BYTES_MAX
      const bytes = isPlausible ? await unpacked(data, size) : undefined
      if (bytes?.length !== size) {
        const digest = wanted[index]?.hex ?? 'nothing that was asked for'
        throw peerError({ code: 'content-corrupt', peer, digest })
      }
      return { index, bytes, stored: { packing: 'zstd', bytes: data } }
    }),
  )
}
