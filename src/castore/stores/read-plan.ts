import type { RecordLocation } from './record-location.ts'

/** Records closer together than this are read in one go, with what lies between them. */
export const READ_GAP_BYTES_MAX = 16 * 1024

/** How much one read of several records takes in at the most. */
export const READ_BYTES_MAX = 1024 * 1024

/** One read from a segment, and the records that it brings. */
export interface PlannedRead {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  /** `index` is the record's place in what was planned. */
  readonly records: readonly { readonly index: number; readonly location: RecordLocation }[]
}

/** Groups records into few reads: what was stored together is mostly asked for together. */
export function planReads(locations: readonly (RecordLocation | undefined)[]): PlannedRead[] {
  const wanted = locations.flatMap((location, index) =>
    location === undefined ? [] : [{ index, location }],
  )
  wanted.sort(
    (a, b) => a.location.segment - b.location.segment || a.location.offset - b.location.offset,
  )
  const reads: (Omit<PlannedRead, 'records' | 'bytes'> & {
    bytes: number
    records: { index: number; location: RecordLocation }[]
  })[] = []
  for (const record of wanted) {
    const { segment, offset, bytes } = record.location
    const last = reads.at(-1)
    const span = last === undefined ? 0 : Math.max(last.bytes, offset + bytes - last.offset)
    if (
      last !== undefined &&
      last.segment === segment &&
      offset - (last.offset + last.bytes) <= READ_GAP_BYTES_MAX &&
      span <= READ_BYTES_MAX
    ) {
      last.bytes = span
      last.records.push(record)
    } else {
      reads.push({ segment, offset, bytes, records: [record] })
    }
  }
  return reads
}
