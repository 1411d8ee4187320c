import { decodeBlobLayout } from '../castore/blob-layout-codec.ts'
import { EMPTY_BLOB } from '../castore/blob-store.ts'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import { Directory } from '../castore/model/directory.ts'
import type { Node } from '../castore/model/node.ts'
import type { RecordKeeper } from '../castore/record-keeper.ts'
import type { RecordKind } from '../castore/record-store.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'

/** How many Directories, or chunk lists, are read at once. */
const BATCH_RECORDS = 512

/** Something that content consists of. */
export interface ReachedRecord {
  readonly kind: Extract<RecordKind, 'chunk' | 'layout' | 'outboard' | 'directory'>
  readonly digest: Uint8Array
  /** Length in bytes where it is a chunk, else 0. */
  readonly bytes: number
}

/**
 * Goes through all that the content of nodes consists of. What `isKnown` says yes to is left out,
 * with all below it; it is asked once for each thing, so that it can take note of it. What is
 * missing is left out, too: to find that is not the matter of this.
 */
export async function* walkContent(
  { keeper }: { readonly keeper: Pick<RecordKeeper, 'peek'> },
  roots: readonly Node[],
  isKnown: (kind: 'directory' | 'blob' | 'chunk', digest: Uint8Array) => boolean,
  call: Call,
): AsyncGenerator<readonly ReachedRecord[]> {
  const directories: Uint8Array[] = []
  const blobs: { digest: Digest; size: number }[] = []
  const note = (node: Node): void => {
    if (node.type === 'directory') {
      if (!isKnown('directory', node.digest.bytes)) directories.push(node.digest.bytes)
    } else if (node.type === 'file' && !node.digest.equals(EMPTY_BLOB)) {
      if (!isKnown('blob', node.digest.bytes)) blobs.push(node)
    }
  }
  for (const root of roots) note(root)
  while (directories.length > 0 || blobs.length > 0) {
    if (blobs.length >= BATCH_RECORDS || directories.length === 0) {
      yield await reachedBy(keeper, blobs.splice(0, BATCH_RECORDS), isKnown, call)
      continue
    }
    // The latest first: what waits is then no more than the siblings on the way down.
    const batch = directories.splice(-BATCH_RECORDS)
    const encoded = await keeper.peek('directory', batch, call)
    const reached: ReachedRecord[] = []
    for (const [i, bytes] of encoded.entries()) {
      if (bytes === undefined) continue
      reached.push({ kind: 'directory', digest: batch[i]!, bytes: 0 })
      for (const { node } of Directory.decode(bytes).entries) note(node)
    }
    yield reached
  }
}

async function reachedBy(
  keeper: Pick<RecordKeeper, 'peek'>,
  blobs: readonly { readonly digest: Digest; readonly size: number }[],
  isKnown: Parameters<typeof walkContent>[2],
  call: Call,
): Promise<ReachedRecord[]> {
  const reached: ReachedRecord[] = []
  const take = (digest: Uint8Array, bytes: number): void => {
    if (!isKnown('chunk', digest)) reached.push({ kind: 'chunk', digest, bytes })
  }
  const large = blobs.filter(({ size }) => size > CHUNK_BYTES_MIN)
  for (const { digest, size } of blobs) if (size <= CHUNK_BYTES_MIN) take(digest.bytes, size)
  const keys = large.map(({ digest }) => digest.bytes)
  const layouts = await keeper.peek('layout', keys, call)
  for (const [i, { digest, size }] of large.entries()) {
    const layout = layouts[i]
    if (layout === undefined) {
      take(digest.bytes, size) // one chunk, though a long one
      continue
    }
    reached.push({ kind: 'layout', digest: digest.bytes, bytes: 0 })
    reached.push({ kind: 'outboard', digest: digest.bytes, bytes: 0 })
    for (const chunk of decodeBlobLayout(layout)) take(chunk.digest.bytes, chunk.size)
  }
  return reached
}
