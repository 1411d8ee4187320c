import { CastoreError } from '../castore-error.ts'
import type { DiskFile } from './disk.ts'
import { writeAll } from './log-pieces.ts'
import type { LogPosition } from './record-location.ts'
import type { SegmentFiles } from './segment-files.ts'
import { scanSegment } from './segment-scan.ts'

/** How much is read and written at once. */
const COPIED_BYTES = 4 * 1024 * 1024

/** A part of the log. */
interface Stretch {
  readonly from: LogPosition
  readonly to: LogPosition
}

/**
 * Writes a part of the log again as it reads, and brings it to stable storage. For that a sync
 * returns well is no proof once another has failed: the system has told of what it could not write,
 * and takes it for written from then on, though it is in memory only, or not even there. (Known
 * from PostgreSQL's "fsync surprise" of 2018; Linux, the BSDs and macOS differ in what is left.)
 * @throws CastoreError 'record-corrupt' where it is not sound any more; then nothing is changed
 */
export async function writeAgain(files: SegmentFiles, { from, to }: Stretch): Promise<void> {
  for (const segment of await files.list()) {
    if (segment < from.segment || segment > to.segment) continue
    const start = segment === from.segment ? from.offset : 0
    const fileBytes = (await files.facts(segment))?.bytes ?? 0
    const end = segment === to.segment ? to.offset : fileBytes
    if (start < end) await checkSound(files, segment, { start, end })
    const file = await files.disk.open(files.pathOf(segment), 'write')
    try {
      await copyInPlace(file, { start, end })
      await file.sync()
    } finally {
      await file.close()
    }
  }
  await files.syncNames()
}

async function checkSound(
  files: SegmentFiles,
  segment: number,
  { start, end }: { start: number; end: number },
): Promise<void> {
  for await (const step of scanSegment(files, { path: files.pathOf(segment), segment, start })) {
    if ((step.type !== 'damage' && step.type !== 'end') || step.offset >= end) continue
    const where = `segment ${segment} at ${step.offset}`
    const what = `what was stored was lost before it was on stable storage: ${where}`
    throw new CastoreError({ code: 'record-corrupt', where }, what)
  }
}

async function copyInPlace(
  file: DiskFile,
  { start, end }: { start: number; end: number },
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(COPIED_BYTES, end - start)))
  for (let at = start; at < end; ) {
    const bytes = await file.read(buffer.subarray(0, end - at), at)
    if (bytes === 0) throw new Error(`a segment has ended at ${at}, before ${end}`)
    await writeAll(file, [buffer.subarray(0, bytes)], at)
    at += bytes
  }
}
