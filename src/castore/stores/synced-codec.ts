import type { LogPosition } from './record-location.ts'

const BYTES = 8

/** The note that the log is on stable storage up to a position. */
export function encodeSynced({ segment, offset }: LogPosition): Uint8Array {
  const bytes = Buffer.allocUnsafe(BYTES)
  bytes.writeUInt32LE(segment, 0)
  bytes.writeUInt32LE(offset, 4)
  return bytes
}

/** Reads such a note; undefined where it is none. */
export function decodeSynced(bytes: Buffer): LogPosition | undefined {
  if (bytes.length !== BYTES) return undefined
  return { segment: bytes.readUInt32LE(0), offset: bytes.readUInt32LE(4) }
}
