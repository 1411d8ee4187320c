import { promisify } from 'node:util'
import { constants, zstdDecompress, zstdDecompressSync } from 'node:zlib'
import { blake3 } from '../../foundation/blake3.ts'
import { equalBytes } from '../../foundation/bytes.ts'
import { isContentAddressed, type RecordKind } from '../record-store.ts'
import type { RecordLocation } from './record-location.ts'
import { isSound } from './segment-record.ts'

/**
 * The window of packed chunks, as a power of two in bytes: a decoder sets aside as much as a frame
 * says, whoever made it.
 */
export const PACKED_WINDOW_LOG = 20

/** Frames up to this many bytes are unpacked at once: handing them to a thread costs more. */
const AT_ONCE_BYTES_MAX = 16 * 1024

const decompress = promisify(zstdDecompress)

/** Where content may lie that is no part of the store: files of this machine. */
export interface Elsewhere {
  /** The content that a record says is elsewhere; undefined where it is there no more. */
  read(whereabouts: Uint8Array, size: number): Promise<Uint8Array | undefined>
  /** What was read there is not what it was. */
  lost(whereabouts: Uint8Array): void
}

/** Where nothing is. */
export const NOWHERE: Elsewhere = { read: async () => undefined, lost: () => undefined }

/**
 * The content of a record by its stored bytes, checked against its digest or checksum; undefined
 * where it is not what was put.
 */
export async function contentOf(
  { kind, key }: { readonly kind: RecordKind; readonly key: Uint8Array },
  location: RecordLocation,
  stored: Uint8Array,
  elsewhere: Elsewhere,
): Promise<Uint8Array | undefined> {
  const { packing, check, size } = location
  if (packing === 'raw') return isSound({ kind, key, packing, check }, stored) ? stored : undefined
  const content =
    packing === 'zstd' ? await unpacked(stored, size) : await elsewhere.read(stored, size)
  const isRight = (): boolean =>
    isContentAddressed(kind) ? equalBytes(blake3(content!), key) : isChecked()
  if (content?.length === size && isRight()) return content
  if (packing === 'elsewhere') elsewhere.lost(stored)
  return undefined

  function isChecked(): boolean {
    return isSound({ kind, key, packing, check }, stored)
  }
}

/** The content of a zstd frame, which says itself how long it is; undefined where it is none. */
export async function unpacked(frame: Uint8Array, size: number): Promise<Uint8Array | undefined> {
  const params = { [constants.ZSTD_d_windowLogMax]: PACKED_WINDOW_LOG }
  const limits = { maxOutputLength: Math.max(size, 1), params }
  try {
    return frame.length <= AT_ONCE_BYTES_MAX
      ? zstdDecompressSync(frame, limits)
      : await decompress(frame, limits)
  } catch {
    return undefined // rotten, or longer than it was said to be
  }
}
