import type { Call } from '../../foundation/call.ts'
import { encodeBlobLayout } from '../blob-layout-codec.ts'
import { type ChunkRef, OUTBOARD_BYTES_MAX } from '../blob-store.ts'
import type { RecordStore } from '../record-store.ts'
import type { BuiltOutboard } from '../verified/outboard-builder.ts'

/**
 * Keeps how a blob of several chunks is put together, and what proves ranges of it. These are two
 * records: chunk lists are looked up by the thousand, where outboards would take eight times their
 * room. The list comes last, as what makes the blob one that is held.
 */
export async function putAssembled(
  records: RecordStore,
  layout: readonly ChunkRef[],
  built: BuiltOutboard,
  call: Call,
): Promise<void> {
  const key = built.digest.bytes
  await putOutboard(records, built, call)
  await records.put('layout', [{ key, bytes: encodeBlobLayout(layout) }], call)
}

/** Keeps what proves ranges of a blob, unless it is too long for that. */
export async function putOutboard(
  records: RecordStore,
  { digest, outboard }: BuiltOutboard,
  call: Call,
): Promise<void> {
  if (outboard.length > OUTBOARD_BYTES_MAX) return
  await records.put('outboard', [{ key: digest.bytes, bytes: outboard }], call)
}
