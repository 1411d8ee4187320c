import type { Log } from '../../foundation/log.ts'
import { isContentAddressed } from '../record-store.ts'
import type { IndexMark, LevelRecordIndex } from './level-record-index.ts'
import { PendingIndex } from './pending-index.ts'
import { comparePositions, type LogPosition, type RecordLocation } from './record-location.ts'
import type { SegmentFiles } from './segment-files.ts'
import { type ScanStep, scanSegment } from './segment-scan.ts'
import { writeAgain } from './write-again.ts'

/** After so many records from the segments the index takes them over. */
const REPLAYED_MAX = 16_384

interface Parts {
  readonly files: SegmentFiles
  readonly index: LevelRecordIndex
  readonly log: Log
}

/** A log and an index that agree: what is not settled, and where the log goes on. */
export interface Recovered {
  readonly pending: PendingIndex
  readonly end: LogPosition
}

/**
 * Brings the index up to the log. What the log holds beyond the index's mark is read and checked;
 * where the log is shorter than the mark says, all of it. Damage that a later note says was on
 * stable storage once is rot: the sound records behind it count. Else it is the torn end of what
 * was never acknowledged, and is cut. The rest of that is then brought to stable storage: whoever
 * finds it there from now on relies on it.
 */
export async function recover(parts: Parts): Promise<Recovered> {
  const { index, log } = parts
  const mark = await trustedMark(parts)
  if (mark === undefined) await index.clear()
  const replay = new Replay(parts, new PendingIndex(mark?.totals), mark?.position)
  const replayed = await replay.run()
  if (replayed !== 'index-outdated') return replayed
  log.warn('segments were compacted away since the index was written, rebuilding it')
  await index.clear()
  const anew = await new Replay(parts, new PendingIndex(), undefined).run()
  if (anew === 'index-outdated') throw new Error('an empty index is not outdated')
  return anew
}

/** The index's mark, unless the log is shorter than that, or the index has lost something. */
async function trustedMark({ index, files, log }: Parts): Promise<IndexMark | undefined> {
  const mark = await index.mark()
  if (mark === undefined) return undefined
  const { segment, offset } = mark.position
  if (offset === 0 || ((await files.facts(segment))?.bytes ?? 0) >= offset) return mark
  log.warn('segments are shorter than the index says, rebuilding it', { segment, offset })
  return undefined
}

class Replay {
  readonly #parts: Parts
  readonly #pending: PendingIndex
  readonly #from: LogPosition
  readonly #hasMark: boolean
  #segments: ReadonlySet<number> = new Set()
  /** Up to where the log is known to be on stable storage: by the mark, or notes that were read. */
  #stable: LogPosition
  /** The same, by a note further on that was looked for. */
  #noted: LogPosition = { segment: 0, offset: 0 }
  /** Up to where the index has taken over what there is. */
  #settled: LogPosition
  #records = 0
  #leftOut = 0

  constructor(parts: Parts, pending: PendingIndex, from: LogPosition | undefined) {
    this.#parts = parts
    this.#pending = pending
    this.#hasMark = from !== undefined
    this.#from = from ?? { segment: 0, offset: 0 }
    this.#stable = this.#from
    this.#settled = this.#from
  }

  /** Takes in what comes behind the mark; says where the log ends. */
  async run(): Promise<Recovered | 'index-outdated'> {
    const { files, log } = this.#parts
    this.#segments = new Set(await files.list())
    let end = this.#from
    for (const segment of this.#beyond(this.#from.segment)) {
      if ((await this.#isGap(end, segment)) || (await this.#isBehindLoss(end, segment))) {
        await this.#removeFrom(segment)
        break
      }
      if (this.#hasMark && segment > end.segment + 1) return 'index-outdated'
      const start = segment === this.#from.segment ? this.#from.offset : 0
      const { offset, isTorn } = await this.#segment(segment, start)
      end = { segment, offset }
      if (!isTorn) continue
      await this.#removeFrom(segment + 1)
      await this.#cut(end)
      break
    }
    if (this.#records > 0) log.info('index caught up with the segments', { records: this.#records })
    if (this.#leftOut > 0) {
      log.warn('names behind damage were left out', { records: this.#leftOut })
    }
    if (comparePositions(end, this.#stable) > 0) {
      await writeAgain(files, { from: this.#stable, to: end })
      this.#stable = end
    }
    await this.#settle()
    return { pending: this.#pending, end }
  }

  /**
   * Whether a segment before this one was lost: its name did not come to stable storage, so nothing
   * behind it was ever acknowledged. Those that were compacted away had been synced before.
   */
  async #isGap(end: LogPosition, segment: number): Promise<boolean> {
    const isFirst = end === this.#from
    if (segment === end.segment || (!isFirst && segment === end.segment + 1)) return false
    if (segment === 0) return false
    return !(await this.#wasSynced({ segment: segment - 1, offset: 0 }))
  }

  /** Whether the end of the segment before this one was lost, of which nothing else tells. */
  async #isBehindLoss(end: LogPosition, segment: number): Promise<boolean> {
    if (segment !== end.segment + 1) return false
    for await (const step of this.#scan(segment, 0)) {
      if (step.type !== 'synced' || (step.follows ?? 0) <= end.offset) return false
      return !(await this.#wasSynced(end))
    }
    return false
  }

  async #segment(segment: number, start: number): Promise<{ offset: number; isTorn: boolean }> {
    const { log } = this.#parts
    for await (const step of this.#scan(segment, start)) {
      if (step.type === 'damage') {
        const position = { segment, offset: step.offset }
        if (!(await this.#wasSynced(position))) return { offset: step.offset, isTorn: true }
        log.warn('a record in the log is rotten', position)
      } else if (step.type === 'end') {
        return { offset: Math.max(step.offset, step.fileBytes), isTorn: false }
      } else await this.#take(step)
    }
    throw new Error('a scan ends with its end')
  }

  async #take(step: Exclude<ScanStep, { type: 'damage' | 'end' }>): Promise<void> {
    if (step.type === 'synced') {
      if (comparePositions(step.position, this.#stable) > 0) this.#stable = step.position
    } else if (step.type === 'record') this.#takeRecord(step)
    else {
      for (const name of step.names) {
        const known = this.#locate(name)
        if (known !== undefined) this.#pending.remove(name, known, step.end)
      }
    }
    const isMuch = this.#pending.size.records >= REPLAYED_MAX
    if (isMuch && comparePositions(this.#stable, this.#settled) > 0) await this.#settle()
  }

  #takeRecord(step: Extract<ScanStep, { type: 'record' }>): void {
    const { kind, key, location, isDoubtful } = step
    const isNamedByContent = isContentAddressed(kind)
    // What was found behind a broken header may lie within some content: only what names itself
    // is believed.
    if (isDoubtful && !isNamedByContent) {
      this.#leftOut++
      return
    }
    const known = this.#locate(step)
    if (known !== undefined && isNamedByContent && !this.#isBetter(location, known)) return
    this.#pending.add({ kind, key }, location, known)
    this.#records++
  }

  /** Whether content is better had there: the other place is gone, or is none of the log. */
  #isBetter(location: RecordLocation, known: RecordLocation): boolean {
    if (!this.#segments.has(known.segment)) return true
    return known.packing === 'elsewhere' && location.packing !== 'elsewhere'
  }

  #locate({ kind, key }: Pick<Extract<ScanStep, { type: 'record' }>, 'kind' | 'key'>) {
    const known = this.#pending.latest(kind, key)
    return known === undefined ? this.#parts.index.locate(kind, [key])[0] : known.location
  }

  /** Whether the mark, or a note in the rest of the log, says that this was on stable storage. */
  async #wasSynced(position: LogPosition): Promise<boolean> {
    if (comparePositions(this.#stable, position) > 0) return true
    if (comparePositions(this.#noted, position) > 0) return true
    for (const segment of this.#beyond(position.segment)) {
      const start = segment === position.segment ? position.offset : 0
      for await (const step of this.#scan(segment, start)) {
        if (step.type !== 'synced' || comparePositions(step.position, position) <= 0) continue
        this.#noted = step.position
        return true
      }
    }
    return false
  }

  #beyond(segment: number): number[] {
    return [...this.#segments].filter((number) => number >= segment)
  }

  /**
   * Nothing behind damage was ever acknowledged: a sync covers all that comes before. These are
   * gone for good before the damage is, or another crash could bring them back behind what is put
   * next.
   */
  async #removeFrom(first: number): Promise<void> {
    const { files, log } = this.#parts
    for (const segment of this.#beyond(first)) {
      log.warn('segment behind a torn one removed', { segment })
      await files.remove(segment)
    }
    await files.syncNames()
    this.#segments = new Set(await files.list())
  }

  async #cut({ segment, offset }: LogPosition): Promise<void> {
    const { files, log } = this.#parts
    const bytes = (await files.facts(segment))?.bytes ?? offset
    log.warn('torn tail cut', { segment, offset, lost: bytes - offset })
    const file = await files.disk.open(files.pathOf(segment), 'write')
    try {
      await file.truncate(offset)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Has the index take over what is on stable storage for certain. */
  async #settle(): Promise<void> {
    const { entries, mark } = this.#pending.upTo(this.#stable)
    this.#settled = this.#stable
    if (entries.length === 0) return
    await this.#parts.index.advance(entries, mark)
    this.#pending.settle(entries, mark)
  }

  #scan(segment: number, start: number): AsyncGenerator<ScanStep> {
    const { files } = this.#parts
    return scanSegment(files, { path: files.pathOf(segment), segment, start })
  }
}
