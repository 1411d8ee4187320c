import type { Call } from '../../foundation/call.ts'
import type { HeldRecord, SegmentUsage } from '../record-keeper.ts'
import { RECORD_KINDS, type RecordKind } from '../record-store.ts'
import type { LevelRecordIndex } from './level-record-index.ts'
import type { SegmentFiles } from './segment-files.ts'
import { RECORD_HEADER_BYTES } from './segment-record.ts'

interface Parts {
  readonly files: SegmentFiles
  readonly index: LevelRecordIndex
}

/**
 * The records of a kind that lie in segments which were last written to before a time. `newest` is
 * the one being written: what is in it, and beyond, is never old.
 */
export async function* recordsBefore(
  { files, index }: Parts,
  { kind, beforeMs, newest }: { kind: RecordKind; beforeMs: number; newest: number },
  call: Call,
): AsyncGenerator<readonly HeldRecord[]> {
  const ages = new Map<number, number>()
  for await (const records of index.records(kind)) {
    call.signal.throwIfAborted()
    const old: HeldRecord[] = []
    for (const { key, location } of records) {
      const { segment, size, bytes } = location
      let modifiedMs = segment >= newest ? Infinity : ages.get(segment)
      if (modifiedMs === undefined) {
        modifiedMs = (await files.facts(segment))?.modifiedMs ?? 0
        ages.set(segment, modifiedMs)
      }
      if (modifiedMs > beforeMs) continue
      old.push({ key, size, storedBytes: RECORD_HEADER_BYTES + bytes, writtenMs: modifiedMs })
    }
    if (old.length > 0) yield old
  }
}

/** The segments before `newest`, and how much of each the index knows as held. */
export async function segmentUsage(
  { files, index }: Parts,
  newest: number,
  call: Call,
): Promise<SegmentUsage[]> {
  const live = new Map<number, number>()
  for (const kind of Object.keys(RECORD_KINDS) as RecordKind[]) {
    for await (const records of index.records(kind)) {
      call.signal.throwIfAborted()
      for (const { location } of records) {
        const bytes = (live.get(location.segment) ?? 0) + RECORD_HEADER_BYTES + location.bytes
        live.set(location.segment, bytes)
      }
    }
  }
  const full = (await files.list()).filter((segment) => segment < newest)
  return await Promise.all(
    full.map(async (segment) => {
      const bytes = (await files.facts(segment))?.bytes ?? 0
      return { segment, bytes, liveBytes: live.get(segment) ?? 0 }
    }),
  )
}

/** Length of all segments in bytes. */
export async function segmentBytes(files: SegmentFiles): Promise<number> {
  const facts = await Promise.all((await files.list()).map((segment) => files.facts(segment)))
  return facts.reduce((sum, it) => sum + (it?.bytes ?? 0), 0)
}
