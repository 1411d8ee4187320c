import type { BlobReader } from '../castore/blob-store.ts'
import type { Call } from '../foundation/call.ts'
import type { ByteRange } from './byte-range.ts'

/** The bytes of a blob, or a part of them. @throws CastoreError where a chunk is missing */
export async function* blobRange(
  blob: BlobReader,
  range: ByteRange | undefined,
  call: Call,
): AsyncGenerator<Uint8Array> {
  let left = range?.length ?? blob.size
  if (left === 0) return
  for await (const piece of blob.read(range?.offset ?? 0, call)) {
    yield piece.subarray(0, left)
    left -= piece.length
    if (left <= 0) return
  }
}
