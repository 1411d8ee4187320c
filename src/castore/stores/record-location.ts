import type { Packing } from '../record-store.ts'

/** Packings by their numbers on disk. */
export const PACKINGS: readonly Packing[] = ['raw', 'zstd', 'elsewhere']

/** Where a record's bytes are: the number of the segment file, and the range within it. */
export interface RecordLocation {
  readonly segment: number
  /** Offset of the stored bytes, behind their header. */
  readonly offset: number
  /** Number of stored bytes. */
  readonly bytes: number
  /** Length of the content in bytes; the same as `bytes` where it is stored raw. */
  readonly size: number
  readonly packing: Packing
  /** CRC-32 of the stored bytes, or 0 where the key is the digest of just these. */
  readonly check: number
}

const RAW_BYTES = 16
const PACKED_BYTES = 21

/** What the index keeps for a record: 16 bytes, or 21 where its content is packed. */
export function encodeLocation(location: RecordLocation): Buffer {
  const isRaw = location.packing === 'raw'
  const bytes = Buffer.allocUnsafe(isRaw ? RAW_BYTES : PACKED_BYTES)
  bytes.writeUInt32LE(location.segment, 0)
  bytes.writeUInt32LE(location.offset, 4)
  bytes.writeUInt32LE(location.bytes, 8)
  bytes.writeUInt32LE(location.check, 12)
  if (!isRaw) {
    bytes.writeUInt32LE(location.size, 16)
    bytes[20] = PACKINGS.indexOf(location.packing)
  }
  return bytes
}

/** Reads these bytes. */
export function decodeLocation(encoded: Buffer): RecordLocation {
  const bytes = encoded.readUInt32LE(8)
  const isRaw = encoded.length < PACKED_BYTES
  return {
    segment: encoded.readUInt32LE(0),
    offset: encoded.readUInt32LE(4),
    bytes,
    check: encoded.readUInt32LE(12),
    size: isRaw ? bytes : encoded.readUInt32LE(16),
    packing: isRaw ? 'raw' : PACKINGS[encoded[20]!]!,
  }
}

/** Whether both are the same place. */
export function isSamePlace(a: RecordLocation, b: RecordLocation): boolean {
  return a.segment === b.segment && a.offset === b.offset
}

/** A place in the log between two records: how far something has got. */
export interface LogPosition {
  readonly segment: number
  readonly offset: number
}

/** Orders positions as the log runs. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  return a.segment - b.segment || a.offset - b.offset
}

/** The position behind a record. */
export function behind({ segment, offset, bytes }: RecordLocation): LogPosition {
  return { segment, offset: offset + bytes }
}
