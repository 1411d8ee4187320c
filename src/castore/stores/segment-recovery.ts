import type { Log } from '../../foundation/log.ts'
import { isContentAddressed } from '../record-store.ts'
import type { IndexMark, LevelRecordIndex } from './level-record-index.ts'
import { PendingIndex } from './pending-index.ts'
import { comparePositions, type LogPosition, type RecordLocation } from './record-location.ts'
import type { SegmentFiles } from './segment-files.ts'
import { type ScanStep, scanSegment } from './segment-scan.ts'

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
 * was never acknowledged, and is cut.
 */
export async function recover(parts: Parts): Promise<Recovered> {
  const mark = await trustedMark(parts)
  const pending = new PendingIndex(mark?.totals)
  const end = await new Replay(parts, pending).run(mark?.position)
  return { pending, end }
}

/** The index's mark, unless the log is shorter than that: then the index is emptied. */
async function trustedMark({ index, files, log }: Parts): Promise<IndexMark | undefined> {
  const mark = await index.mark()
  if (mark === undefined) return undefined
  const { segment, offset } = mark.position
  if (offset === 0 || ((await files.facts(segment))?.bytes ?? 0) >= offset) return mark
  log.warn('segments are shorter than the index says, rebuilding it', { segment, offset })
  await index.clear()
  return undefined
}

class Replay {
  readonly #parts: Parts
  readonly #pending: PendingIndex
  #segments: ReadonlySet<number> = new Set()
  /** Up to where the log was on stable storage by its own account, once that was looked for. */
  #synced: LogPosition | undefined
  #records = 0
  #leftOut = 0

  constructor(parts: Parts, pending: PendingIndex) {
    this.#parts = parts
    this.#pending = pending
  }

  /** Takes in what comes behind `from`; says where the log ends. */
  async run(from: LogPosition = { segment: 0, offset: 0 }): Promise<LogPosition> {
    const { files, log } = this.#parts
    this.#segments = new Set(await files.list())
    let end = from
    for (const segment of this.#from(from.segment)) {
      const start = segment === from.segment ? from.offset : 0
      const { offset, isTorn } = await this.#segment(segment, start)
      end = { segment, offset }
      if (isTorn) {
        await this.#removeBehind(segment)
        break
      }
    }
    if (this.#records > 0) log.info('index caught up with the segments', { records: this.#records })
    if (this.#leftOut > 0) {
      log.warn('names behind damage were left out', { records: this.#leftOut })
    }
    await this.#settle()
    return end
  }

  async #segment(segment: number, start: number): Promise<{ offset: number; isTorn: boolean }> {
    const { log } = this.#parts
    for await (const step of this.#scan(segment, start)) {
      if (step.type === 'damage') {
        const position = { segment, offset: step.offset }
        if (!(await this.#wasSynced(position))) {
          await this.#cut(position)
          return { offset: step.offset, isTorn: true }
        }
        log.warn('a record in the log is rotten', position)
      } else if (step.type === 'end') {
        return { offset: Math.max(step.offset, step.fileBytes), isTorn: false }
      } else await this.#take(step)
    }
    throw new Error('a scan ends with its end')
  }

  async #take(step: Exclude<ScanStep, { type: 'damage' | 'end' }>): Promise<void> {
    if (step.type === 'record') this.#takeRecord(step)
    else if (step.type === 'removal') {
      for (const name of step.names) {
        const known = this.#locate(name)
        if (known !== undefined) this.#pending.remove(name, known, step.end)
      }
    }
    if (this.#pending.size.records >= REPLAYED_MAX) await this.#settle()
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

  /** Whether a note in the rest of the log says that all up to there was on stable storage. */
  async #wasSynced(position: LogPosition): Promise<boolean> {
    this.#synced ??= await this.#lastNote(position)
    return comparePositions(this.#synced, position) > 0
  }

  async #lastNote(from: LogPosition): Promise<LogPosition> {
    let last: LogPosition = { segment: 0, offset: 0 }
    for (const segment of this.#from(from.segment)) {
      const start = segment === from.segment ? from.offset : 0
      for await (const step of this.#scan(segment, start)) {
        if (step.type === 'synced' && comparePositions(step.position, last) > 0) {
          last = step.position
        }
      }
    }
    return last
  }

  #from(segment: number): number[] {
    return [...this.#segments].filter((number) => number >= segment)
  }

  async #cut({ segment, offset }: LogPosition): Promise<void> {
    const { files, log } = this.#parts
    const bytes = (await files.facts(segment))?.bytes ?? offset
    log.warn('torn tail cut', { segment, offset, lost: bytes - offset })
    const file = await files.disk.open(files.pathOf(segment), 'write')
    try {
      await file.truncate(offset)
    } finally {
      await file.close()
    }
  }

  /** Nothing behind a torn record was ever acknowledged: a sync covers all that comes before. */
  async #removeBehind(torn: number): Promise<void> {
    for (const segment of this.#from(torn + 1)) {
      this.#parts.log.warn('segment behind a torn one removed', { segment })
      await this.#parts.files.remove(segment)
    }
  }

  async #settle(): Promise<void> {
    if (this.#pending.size.records === 0) return
    const { entries, mark } = this.#pending.upTo(undefined)
    await this.#parts.index.advance(entries, mark)
    this.#pending.settle(entries, mark)
  }

  #scan(segment: number, start: number): AsyncGenerator<ScanStep> {
    const { files } = this.#parts
    return scanSegment(files, { path: files.pathOf(segment), segment, start })
  }
}
