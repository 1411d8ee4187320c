import { CastoreError } from '../castore-error.ts'
import type { RecordKind, RecordName } from '../record-store.ts'
import { planReads } from './read-plan.ts'
import type { RecordLocation } from './record-location.ts'
import type { SegmentFiles } from './segment-files.ts'

/** How often a read is tried again when its segment was compacted away in between. */
const TRIES_MAX = 8

type Locate = (
  kind: RecordKind,
  keys: readonly Uint8Array[],
) => readonly (RecordLocation | undefined)[]

type Take<T> = (name: RecordName, at: RecordLocation, stored: Uint8Array) => Promise<T | undefined>

/**
 * Reads the stored bytes of records, what lies together in one go, and has each taken; undefined
 * for what is absent. What was compacted away meanwhile is looked up again.
 * @throws CastoreError 'record-corrupt' where there are no such bytes
 */
export async function readRecords<T>(
  components: { files: SegmentFiles; locate: Locate },
  { kind, keys }: { kind: RecordKind; keys: readonly Uint8Array[] },
  take: Take<T>,
): Promise<(T | undefined)[]> {
  const { files, locate } = components
  const results = new Array<T | undefined>(keys.length).fill(undefined)
  let wanted = [...keys.keys()]
  for (let tries = 1; wanted.length > 0; tries++) {
    const locations = new Array<RecordLocation | undefined>(keys.length)
    const found = locate(
      kind,
      wanted.map((i) => keys[i]!),
    )
    for (const [at, i] of wanted.entries()) locations[i] = found[at]
    const gone: number[] = []
    await Promise.all(
      planReads(locations).map(async ({ segment, offset, bytes, records }) => {
        const window = Buffer.allocUnsafeSlow(bytes)
        const filled = await files.read(segment, offset, window)
        for (const { index, location } of records) {
          const name = { kind, key: keys[index]! }
          const from = location.offset - offset
          if (filled === undefined && tries < TRIES_MAX) gone.push(index)
          else if (from + location.bytes > (filled ?? 0)) throw rotten(name, location)
          else {
            const stored = window.subarray(from, from + location.bytes)
            results[index] = await take(name, location, stored)
          }
        }
      }),
    )
    wanted = gone
  }
  return results
}

/** The error for a record that does not read back as it was written. */
export function rotten(record: RecordName, location: RecordLocation): CastoreError {
  const where = `segment ${location.segment} at ${location.offset}`
  const what = `a stored record is not what was written: ${where}`
  return new CastoreError({ code: 'record-corrupt', where, record }, what)
}
