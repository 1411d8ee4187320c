import { isRotten } from '../castore/castore-error.ts'
import type { RecordKeeper, SegmentUsage } from '../castore/record-keeper.ts'
import type { Call } from '../foundation/call.ts'
import type { Log } from '../foundation/log.ts'

/** A segment of which less than this part is in use is compacted. */
export const LIVE_MIN = 0.5

/** Where the store is too large, segments are compacted of which less than this part is in use. */
export const LIVE_MIN_FULL = 0.9

/** What compacting came to. */
export interface CompactionReport {
  readonly segments: number
  readonly movedBytes: number
  readonly freedBytes: number
}

/**
 * Which segments to compact, the emptiest first: those that are more than half dead, and, as long
 * as all together are longer than `bytesMax`, those that are dead at least in part.
 */
export function segmentsToCompact(
  segments: readonly SegmentUsage[],
  diskBytes: number,
  bytesMax: number,
): number[] {
  const live = ({ bytes, liveBytes }: SegmentUsage): number => (bytes === 0 ? 0 : liveBytes / bytes)
  const chosen: number[] = []
  let left = diskBytes
  for (const usage of [...segments].sort((a, b) => live(a) - live(b))) {
    const limit = left > bytesMax ? LIVE_MIN_FULL : LIVE_MIN
    if (live(usage) >= limit) break
    chosen.push(usage.segment)
    left -= usage.bytes - usage.liveBytes
  }
  return chosen
}

/** Gives back the space of what was removed. A segment that can not be read is told of and left. */
export async function compactStore(
  { keeper, log }: { readonly keeper: RecordKeeper; readonly log: Log },
  { bytesMax = Infinity }: { readonly bytesMax?: number | undefined },
  call: Call,
): Promise<CompactionReport> {
  const usage = await keeper.segments(call)
  const chosen = segmentsToCompact(usage, await keeper.diskBytes(call), bytesMax)
  const report = { segments: 0, movedBytes: 0, freedBytes: 0 }
  for (const segment of chosen) {
    try {
      const { movedBytes, freedBytes } = await keeper.compact(segment, call)
      report.segments++
      report.movedBytes += movedBytes
      report.freedBytes += freedBytes
    } catch (error) {
      if (!isRotten(error)) throw error
      log.warn('a segment was not compacted', { segment, error })
    }
  }
  return report
}
