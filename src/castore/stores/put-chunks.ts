import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { PackedBytes, RecordStore } from '../record-store.ts'
import type { ChunkPacker } from './chunk-packer.ts'

/** A chunk that hashes to its digest, and its packed form where that is known already. */
export interface ChunkToPut {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly stored?: PackedBytes | undefined
}

/** Stores chunks, packed where that pays; what is held already is not packed again. */
export async function putChunkRecords(
  { records, packer }: { readonly records: RecordStore; readonly packer: ChunkPacker },
  chunks: readonly ChunkToPut[],
  call: Call,
): Promise<void> {
  const keys = chunks.map(({ digest }) => digest.bytes)
  const held = await records.sizes('chunk', keys, call)
  const packing = chunks.map(({ bytes, stored }, i) =>
    held[i] === undefined ? (stored ?? packer.pack(bytes)) : undefined,
  )
  const packed = packing.some((it) => it instanceof Promise) ? await Promise.all(packing) : packing
  const put = chunks.map(({ bytes }, i) => {
    const stored = packed[i] as PackedBytes | undefined
    return { key: keys[i]!, bytes, ...(stored === undefined ? {} : { stored }) }
  })
  await records.put('chunk', put, call)
}
