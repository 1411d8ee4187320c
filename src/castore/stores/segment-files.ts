import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/** How many segment files are held open for reading at once. */
export const OPEN_SEGMENTS_MAX = 256

interface OpenSegment {
  readonly handle: Promise<FileHandle>
  readers: number
}

/** The segment files of a directory, opened for reading as needed, the oldest use closed. */
export class SegmentFiles {
  readonly #directory: string
  readonly #open = new Map<number, OpenSegment>()

  constructor(directory: string) {
    this.#directory = directory
  }

  pathOf(segment: number): string {
    return join(this.#directory, `${segment.toString().padStart(8, '0')}.seg`)
  }

  /** The numbers of the files that are there, ascending. */
  async list(): Promise<number[]> {
    const names = await readdir(this.#directory)
    const numbers = names.flatMap((name) =>
      /^\d{8}\.seg$/.test(name) ? [Number(name.slice(0, 8))] : [],
    )
    return numbers.sort((a, b) => a - b)
  }

  /** Length of a segment file in bytes, 0 where it is not there. */
  async size(segment: number): Promise<number> {
    try {
      return (await stat(this.pathOf(segment))).size
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
      throw error
    }
  }

  /** Brings the names of new files to stable storage. */
  async syncNames(): Promise<void> {
    await using directory = await open(this.#directory, 'r')
    await directory.sync()
  }

  /** Reads into all of `target` from `offset`, or as far as the file goes; says how many bytes. */
  async read(segment: number, offset: number, target: Uint8Array): Promise<number> {
    const file = this.#use(segment)
    try {
      const handle = await file.handle
      let filled = 0
      while (filled < target.length) {
        const { bytesRead } = await handle.read(
          target,
          filled,
          target.length - filled,
          offset + filled,
        )
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return filled
    } finally {
      file.readers--
    }
  }

  async remove(segment: number): Promise<void> {
    const file = this.#open.get(segment)
    this.#open.delete(segment)
    await (await file?.handle)?.close()
    await unlink(this.pathOf(segment))
  }

  async close(): Promise<void> {
    const files = [...this.#open.values()]
    this.#open.clear()
    for (const file of files) await (await file.handle).close()
  }

  #use(segment: number): OpenSegment {
    const known = this.#open.get(segment)
    if (known !== undefined) {
      this.#open.delete(segment) // to the end: the most recently used
      this.#open.set(segment, known)
      known.readers++
      return known
    }
    this.#closeIdle()
    const file: OpenSegment = { handle: open(this.pathOf(segment), 'r'), readers: 1 }
    this.#open.set(segment, file)
    file.handle.catch(() => this.#open.delete(segment)) // the reader that awaits it is told
    return file
  }

  #closeIdle(): void {
    if (this.#open.size < OPEN_SEGMENTS_MAX) return
    for (const [segment, file] of this.#open) {
      if (file.readers > 0) continue
      this.#open.delete(segment)
      file.handle.then((handle) => handle.close()).catch(() => undefined) // nobody reads it
      return
    }
  }
}
