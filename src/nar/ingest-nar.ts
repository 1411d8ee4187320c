import { createHash } from 'node:crypto'
import type { ChunkRef } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { NarMeasure } from './measure-nar.ts'
import { malformed } from './nar-error.ts'
import { NarIntake } from './nar-intake.ts'
import { NarReader } from './nar-reader.ts'

/** How much of a NAR is read between two looks at what there is to store, in bytes. */
const STRIDE_BYTES_MAX = 1024 * 1024

export interface IngestInit {
  /** Length of the longest NAR that is taken, in bytes; unlimited by default. */
  readonly narBytesMax?: number
  /**
   * Is told of each chunk of the content once it is stored, small files included, in the order of
   * the NAR; a chunk that occurs again is told again. Nobody has proven anything by then.
   */
  readonly onStored?: (chunk: ChunkRef) => void
  /** Is told what was read once that is all, and a NAR; the last of it may not be stored yet. */
  readonly onRead?: (measure: NarMeasure) => void
}

/** A NAR that was taken in. */
export interface IngestedNar extends NarMeasure {
  readonly node: Node
}

/**
 * Takes a NAR into a castore in one pass, hashing it beside. Memory is bounded, whatever the NAR:
 * the source is not asked for more while the store is behind. Pieces must not be changed after
 * they were yielded, since contents are views of them until they are stored. What was stored of a
 * NAR that turns out broken stays; nothing refers to it.
 * @throws NarError where the NAR breaks the format or is too large; what the source or store throws
 */
export async function ingestNar(
  source: AsyncIterable<Uint8Array>,
  into: Castore,
  call: Call,
  init: IngestInit = {},
): Promise<IngestedNar> {
  const narBytesMax = init.narBytesMax ?? Number.POSITIVE_INFINITY
  const hash = createHash('sha256')
  let narSize = 0
  await using intake = new NarIntake(into, call, init.onStored)
  const reader = new NarReader(intake)
  for await (const piece of source) {
    call.signal.throwIfAborted()
    narSize += piece.length
    if (narSize > narBytesMax) {
      throw malformed('too-large', narBytesMax, `it has more than ${narBytesMax} bytes`)
    }
    hash.update(piece)
    for (let at = 0; at < piece.length; at += STRIDE_BYTES_MAX) {
      const stride = piece.subarray(at, at + STRIDE_BYTES_MAX)
      reader.push(stride)
      await intake.settle(stride.length)
    }
  }
  reader.end()
  call.signal.throwIfAborted()
  const measure = { narSize, narSha256: Uint8Array.from(hash.digest()) }
  init.onRead?.(measure)
  return { node: await intake.finish(), ...measure }
}
