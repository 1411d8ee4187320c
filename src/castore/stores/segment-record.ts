import { crc32 } from 'node:zlib'
import { blake3 } from '../../foundation/blake3.ts'
import { equalBytes } from '../../foundation/bytes.ts'
import {
  isContentAddressed,
  type Packing,
  RECORD_BYTES_MAX,
  RECORD_KEY_BYTES_MAX,
  RECORD_KINDS,
  type RecordKind,
} from '../record-store.ts'
import { PACKINGS } from './record-location.ts'

/** Length of the header before each record's bytes. */
export const RECORD_HEADER_BYTES = 56

/**
 * What the log itself says beside records: that some were removed, and up to where it was on stable
 * storage at that time.
 */
export type LogNote = 'removal' | 'synced'

const NOTES: Readonly<Record<LogNote, number>> = { synced: 254, removal: 255 }

/** The header of one record in a segment file; integers are little-endian on disk. */
export interface RecordHeader {
  readonly kind: RecordKind | LogNote
  readonly key: Uint8Array
  /** Number of bytes that follow the header. */
  readonly storedBytes: number
  /** Length of the content in bytes. */
  readonly size: number
  readonly packing: Packing
  /** CRC-32 of the stored bytes, or 0 where the key is the digest of just these. */
  readonly check: number
}

/*
 *  0  magic "CRN1"          16  key, zero-padded to 32 bytes
 *  4  kind                  48  CRC-32 of the stored bytes, 0 if their digest is the key
 *  5  packing               52  CRC-32 of the 52 bytes before
 *  6  key length
 *  7  reserved, 0
 *  8  stored length
 * 12  content length
 */
const MAGIC = 0x314e5243
const HEADER_CHECK_OFFSET = 52

const numbersByKind = new Map<RecordKind | LogNote, number>(
  Object.entries({ ...RECORD_KINDS, ...NOTES }) as [RecordKind | LogNote, number][],
)
const kindsByNumber = new Map([...numbersByKind].map(([kind, number]) => [number, kind]))

/** Writes a header into `target` at `offset`. */
export function encodeRecordHeader(header: RecordHeader, target: Buffer, offset: number): void {
  target.writeUInt32LE(MAGIC, offset)
  target[offset + 4] = numbersByKind.get(header.kind)!
  target[offset + 5] = PACKINGS.indexOf(header.packing)
  target[offset + 6] = header.key.length
  target[offset + 7] = 0
  target.writeUInt32LE(header.storedBytes, offset + 8)
  target.writeUInt32LE(header.size, offset + 12)
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
  const packing = PACKINGS[source[offset + 5]!]
  const keyLength = source[offset + 6]!
  const storedBytes = source.readUInt32LE(offset + 8)
  const size = source.readUInt32LE(offset + 12)
  if (kind === undefined || packing === undefined || keyLength > RECORD_KEY_BYTES_MAX) {
    return undefined
  }
  if (storedBytes > RECORD_BYTES_MAX || size > RECORD_BYTES_MAX) return undefined
  const key = Uint8Array.from(source.subarray(offset + 16, offset + 16 + keyLength))
  return { kind, key, storedBytes, size, packing, check: source.readUInt32LE(offset + 48) }
}

/** The checksum that a record's header bears: none where its key is the digest of these bytes. */
export function checkOf(kind: RecordKind | LogNote, packing: Packing, stored: Uint8Array): number {
  return isNamedByBytes(kind, packing) ? 0 : crc32(stored)
}

/** Whether a record's stored bytes are what its header says. */
export function isSound(
  record: Pick<RecordHeader, 'kind' | 'key' | 'check' | 'packing'>,
  stored: Uint8Array,
): boolean {
  return isNamedByBytes(record.kind, record.packing)
    ? equalBytes(blake3(stored), record.key)
    : crc32(stored) === record.check
}

function isNamedByBytes(kind: RecordKind | LogNote, packing: Packing): boolean {
  return packing === 'raw' && kind !== 'removal' && kind !== 'synced' && isContentAddressed(kind)
}
