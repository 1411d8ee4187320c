import type { GivenChunk } from '../../castore/blob-store.ts'
import type { Castore } from '../../castore/castore.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import type { Call } from '../../foundation/call.ts'
import { peerError } from '../peer-error.ts'
import type { Pieces } from './pieces.ts'

/** A chunk that has come, by its number in the list. */
export interface TakenChunk extends Omit<GivenChunk, 'digest'> {
  readonly chunk: number
}

/** Stores chunks that a peer has sent, which checks them. @throws PeerError 'content-corrupt' */
export async function storeTaken(
  components: { readonly castore: Pick<Castore, 'blobs'>; readonly pieces: Pieces },
  peer: string,
  taken: readonly TakenChunk[],
  call: Call,
): Promise<void> {
  const { castore, pieces } = components
  const given = taken.map(({ chunk, ...content }) => ({
    digest: pieces.chunks[chunk]!.digest,
    ...content,
  }))
  try {
    await castore.blobs.putChunks(given, call)
  } catch (error) {
    if (!(error instanceof CastoreError) || error.fault.code !== 'digest-mismatch') throw error
    throw peerError({ code: 'content-corrupt', peer, digest: error.fault.digest }, error)
  }
}
