import { createHash } from 'node:crypto'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { type NarSource, renderNar } from './render-nar.ts'

/** What a narinfo says of a NAR. */
export interface NarMeasure {
  /** Length in bytes. */
  readonly narSize: number
  /** SHA-256, 32 bytes. */
  readonly narSha256: Uint8Array
}

/** Renders a node's NAR to learn its size and hash. @throws what {@link renderNar} throws */
export async function measureNar(node: Node, from: NarSource, call: Call): Promise<NarMeasure> {
  const hash = createHash('sha256')
  let narSize = 0
  for await (const piece of renderNar(node, from, call)) {
    hash.update(piece)
    narSize += piece.length
  }
  return { narSize, narSha256: Uint8Array.from(hash.digest()) }
}
