import type { LogPosition } from './record-location.ts'

const BYTES = 8

/** What the log says of itself now and then. */
export interface SyncedNote {
  /** Up to there the log was on stable storage. */
  readonly position: LogPosition
  /** At the begin of a segment: how long the one before it was, in bytes. */
  readonly follows?: number | undefined
}

/** The note that the log is on stable storage up to a position. */
export function encodeSynced({ position, follows }: SyncedNote): Uint8Array {
  const bytes = Buffer.alloc(follows === undefined ? BYTES : BYTES + 4)
  bytes.writeUInt32LE(position.segment, 0)
  bytes.writeUInt32LE(position.offset, 4)
  if (follows !== undefined) bytes.writeUInt32LE(follows, BYTES)
  return bytes
}

/** Reads such a note; undefined where it is none. */
export function decodeSynced(bytes: Buffer): SyncedNote | undefined {
  if (bytes.length !== BYTES && bytes.length !== BYTES + 4) return undefined
  const position = { segment: bytes.readUInt32LE(0), offset: bytes.readUInt32LE(4) }
  return bytes.length === BYTES ? { position } : { position, follows: bytes.readUInt32LE(BYTES) }
}
