import { join } from 'node:path'
import type { Disk, DiskFile, FileFacts } from './disk.ts'

/** How many segment files are held open for reading at once. */
export const OPEN_SEGMENTS_MAX = 256

interface OpenSegment {
  readonly file: Promise<DiskFile>
  readers: number
  /** Whether it is to be closed when the last reader leaves. */
  isLeft: boolean
}

/** The segment files of a directory, opened for reading as needed, the oldest use closed. */
export class SegmentFiles {
  readonly disk: Disk
  readonly #directory: string
  readonly #open = new Map<number, OpenSegment>()

  constructor(components: { disk: Disk }, init: { directory: string }) {
    this.disk = components.disk
    this.#directory = init.directory
  }

  pathOf(segment: number): string {
    return join(this.#directory, `${segment.toString().padStart(8, '0')}.seg`)
  }

  /** The numbers of the files that are there, ascending. */
  async list(): Promise<number[]> {
    const names = await this.disk.list(this.#directory)
    const numbers = names.flatMap((name) =>
      /^\d{8}\.seg$/.test(name) ? [Number(name.slice(0, 8))] : [],
    )
    return numbers.sort((a, b) => a - b)
  }

  /** Undefined where there is no such segment. */
  async facts(segment: number): Promise<FileFacts | undefined> {
    return await this.disk.facts(this.pathOf(segment))
  }

  /** Brings the names of new files to stable storage. */
  async syncNames(): Promise<void> {
    await this.disk.syncNames(this.#directory)
  }

  /**
   * Reads into all of `target` from `offset`, or as far as the file goes; says how many bytes, or
   * undefined where there is no such segment any more.
   */
  async read(segment: number, offset: number, target: Uint8Array): Promise<number | undefined> {
    const open = this.#use(segment)
    try {
      const file = await open.file
      let filled = 0
      while (filled < target.length) {
        const bytes = await file.read(target.subarray(filled), offset + filled)
        if (bytes === 0) break
        filled += bytes
      }
      return filled
    } catch (error) {
      if ((await this.facts(segment)) === undefined) return undefined
      throw error
    } finally {
      open.readers--
      if (open.isLeft) await closeIdle(open)
    }
  }

  /** Removes a segment; reads that are under way still end well. */
  async remove(segment: number): Promise<void> {
    await this.disk.remove(this.pathOf(segment))
    const open = this.#open.get(segment)
    if (open === undefined) return
    this.#open.delete(segment)
    open.isLeft = true
    await closeIdle(open)
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()]
    this.#open.clear()
    const closed = await Promise.allSettled(all.map(async (open) => (await open.file).close()))
    for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason
  }

  #use(segment: number): OpenSegment {
    const known = this.#open.get(segment)
    if (known !== undefined) {
      this.#open.delete(segment) // to the end: the most recently used
      this.#open.set(segment, known)
      known.readers++
      return known
    }
    this.#makeRoom()
    const file = this.disk.open(this.pathOf(segment), 'read')
    const open: OpenSegment = { file, readers: 1, isLeft: false }
    this.#open.set(segment, open)
    file.catch(() => this.#open.delete(segment)) // the reader that awaits it is told
    return open
  }

  #makeRoom(): void {
    if (this.#open.size < OPEN_SEGMENTS_MAX) return
    for (const [segment, open] of this.#open) {
      if (open.readers > 0) continue
      this.#open.delete(segment)
      open.file.then((file) => file.close()).catch(() => undefined) // nobody reads it
      return
    }
  }
}

async function closeIdle(open: OpenSegment): Promise<void> {
  if (open.readers > 0) return
  open.isLeft = false
  await (await open.file).close()
}
