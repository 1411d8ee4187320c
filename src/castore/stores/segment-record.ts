import { crc32 } from 'node:zlib'
import type { RecordKind } from '../record-store.ts'
import { RECORD_BYTES_MAX, RECORD_KEY_BYTES_MAX, RECORD_KINDS } from '../record-store.ts'

/** Length of the header before each record's bytes. */
export const RECORD_HEADER_BYTES = 56

/** The header of one record in a segment file; integers are little-endian on disk. */
export interface RecordHeader {
  readonly kind: RecordKind
  readonly key: Uint8Array
  /** Number of bytes that follow the header. */
  readonly storedBytes: number
  /** CRC-32 of these bytes, or 0 where the key is the digest of the content. */
  readonly check: number
}

/*
 *  0  magic "CRN1"          16  key, zero-padded to 32 bytes
 *  4  kind                  48  CRC-32 of the stored bytes, 0 if content-addressed
 *  5  encoding (0 raw)      52  CRC-32 of the 52 bytes before
 *  6  key length
 *  7  reserved, 0
 *  8  stored length
 * 12  content length
 */
const MAGIC = 0x314e5243
const ENCODING_RAW = 0
const HEADER_CHECK_OFFSET = 52

const kindsByNumber = new Map<number, RecordKind>(
  Object.entries(RECORD_KINDS).map(([kind, number]) => [number, kind as RecordKind]),
)

/** Writes a header into `target` at `offset`. */
export function encodeRecordHeader(header: RecordHeader, target: Buffer, offset: number): void {
  target.writeUInt32LE(MAGIC, offset)
  target[offset + 4] = RECORD_KINDS[header.kind]
  target[offset + 5] = ENCODING_RAW
  target[offset + 6] = header.key.length
  target[offset + 7] = 0
  target.writeUInt32LE(header.storedBytes, offset + 8)
  target.writeUInt32LE(header.storedBytes, offset + 12)
  target.fill(0, offset + 16, offset + 16 + RECORD_KEY_BYTES_MAX)
  target.set(header.key, offset + 16)
  target.writeUInt32LE(header.check, offset + 48)
  const check = crc32(target.subarray(offset, offset + HEADER_CHECK_OFFSET))
  target.writeUInt32LE(check, offset + HEADER_CHECK_OFFSET)
}

/** Reads the header at `offset`, or undefined where there is no whole and sound one. */
export function decodeRecordHeader(source: Buffer, offset: number): RecordHeader | undefined {
  if (offset + RECORD_HEADER_BYTES > source.length) return undefined
  if (source.readUInt32LE(offset) !== MAGIC) return undefined
  const check = crc32(source.subarray(offset, offset + HEADER_CHECK_OFFSET))
  if (source.readUInt32LE(offset + HEADER_CHECK_OFFSET) !== check) return undefined
  const kind = kindsByNumber.get(source[offset + 4]!)
  const keyLength = source[offset + 6]!
  const storedBytes = source.readUInt32LE(offset + 8)
  if (kind === undefined || source[offset + 5] !== ENCODING_RAW) return undefined
  if (keyLength > RECORD_KEY_BYTES_MAX || storedBytes > RECORD_BYTES_MAX) return undefined
  const key = Uint8Array.from(source.subarray(offset + 16, offset + 16 + keyLength))
  return { kind, key, storedBytes, check: source.readUInt32LE(offset + 48) }
}
