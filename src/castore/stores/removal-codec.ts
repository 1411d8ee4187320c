import {
  RECORD_KEY_BYTES_MAX,
  RECORD_KINDS,
  type RecordKind,
  type RecordName,
} from '../record-store.ts'

/** How many names one note in the log holds at the most. */
export const REMOVED_PER_NOTE_MAX = 16_384

const kindsByNumber = new Map<number, RecordKind>(
  Object.entries(RECORD_KINDS).map(([kind, number]) => [number, kind as RecordKind]),
)

/** The note of what was removed: for each record its kind, the length of its key, and the key. */
export function encodeRemoval(names: readonly RecordName[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(names.reduce((sum, { key }) => sum + 2 + key.length, 0))
  let at = 0
  for (const { kind, key } of names) {
    bytes[at] = RECORD_KINDS[kind]
    bytes[at + 1] = key.length
    bytes.set(key, at + 2)
    at += 2 + key.length
  }
  return bytes
}

/** Reads such a note; undefined where it is none. */
export function decodeRemoval(bytes: Uint8Array): RecordName[] | undefined {
  const names: RecordName[] = []
  let at = 0
  while (at < bytes.length) {
    const kind = kindsByNumber.get(bytes[at]!)
    const end = at + 2 + (bytes[at + 1] ?? 0)
    if (kind === undefined || at + 2 > bytes.length || end > bytes.length) return undefined
    if (end - at - 2 > RECORD_KEY_BYTES_MAX || names.length === REMOVED_PER_NOTE_MAX) {
      return undefined
    }
    names.push({ kind, key: Uint8Array.from(bytes.subarray(at + 2, end)) })
    at = end
  }
  return names
}
