/** Where a record's bytes are: the number of the segment file, and the range within it. */
export interface RecordLocation {
  readonly segment: number
  /** Offset of the bytes, behind their header. */
  readonly offset: number
  readonly bytes: number
  /** CRC-32 of the bytes, or 0 where the key is the digest of the content. */
  readonly check: number
}

const LOCATION_BYTES = 16

/** The 16 bytes that the index keeps for a record. */
export function encodeLocation(location: RecordLocation): Buffer {
  const bytes = Buffer.allocUnsafe(LOCATION_BYTES)
  bytes.writeUInt32LE(location.segment, 0)
  bytes.writeUInt32LE(location.offset, 4)
  bytes.writeUInt32LE(location.bytes, 8)
  bytes.writeUInt32LE(location.check, 12)
  return bytes
}

/** Reads these bytes. */
export function decodeLocation(bytes: Buffer): RecordLocation {
  return {
    segment: bytes.readUInt32LE(0),
    offset: bytes.readUInt32LE(4),
    bytes: bytes.readUInt32LE(8),
    check: bytes.readUInt32LE(12),
  }
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
