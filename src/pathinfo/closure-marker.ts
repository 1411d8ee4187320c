import { EMPTY_BLOB } from '../castore/blob-store.ts'
import type { ReadableCastore } from '../castore/castore.ts'
import { CastoreError, invalid } from '../castore/castore-error.ts'
import type { Directory } from '../castore/model/directory.ts'
import type { DirectoryNode, FileNode, Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import type { Mark, ShareMarks } from './share-marks.ts'

/** How many marks are gathered in memory before they are written. */
export const MARKS_GATHERED_MAX = 4_096

/** How many levels of Directories are walked down; no NAR has as many. */
export const MARKED_LEVELS_MAX = 256

/** How many files' chunk lists are looked up at once. */
const FILES_AT_ONCE = 512

/** How many Directories below one are read at once. */
const DIRECTORIES_AT_ONCE = 32

/** A Directory on the way down. */
interface OpenDirectory {
  readonly directory: Directory
  /** Those below it that were not marked when it was opened. */
  readonly below: readonly DirectoryNode[]
  next: number
  /** Of those, the ones that have been read and not been entered. */
  read: Directory[]
}

/**
 * Marks all that a root reaches: what is below before what it is below of, so that whatever
 * happens midway, below a marked Directory everything is marked, and it need not be walked again.
 */
export class ClosureMarker {
  readonly #castore: ReadableCastore
  readonly #marks: ShareMarks
  readonly #generation: number
  readonly #gathered: Mark[] = []
  readonly #gatheredDirectories = new Set<string>()

  constructor(
    components: { readonly castore: ReadableCastore; readonly marks: ShareMarks },
    init: { readonly generation: number },
  ) {
    this.#castore = components.castore
    this.#marks = components.marks
    this.#generation = init.generation
  }

  /** @throws CastoreError where part of it is not held: then the root is not marked */
  async mark(root: Node, call: Call): Promise<void> {
    if (root.type === 'directory') await this.#markDirectories(root, call)
    else if (root.type === 'file') await this.#markFiles([root], call)
    await this.#write()
  }

  async #markDirectories(root: DirectoryNode, call: Call): Promise<void> {
    const open: OpenDirectory[] = []
    if (!this.#isMarked(root.digest)) open.push(this.#opened(await this.#read(root, call)))
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      call.signal.throwIfAborted()
      const child = await this.#nextBelow(top, call)
      if (child !== undefined) {
        if (open.length >= MARKED_LEVELS_MAX) throw invalid('there are too many levels of it')
        open.push(this.#opened(child))
        continue
      }
      await this.#markFiles(filesOf(top.directory), call)
      this.#gather('directory', top.directory.digest)
      open.pop()
      if (this.#gathered.length >= MARKS_GATHERED_MAX) await this.#write()
    }
  }

  #opened(directory: Directory): OpenDirectory {
    const below = directory.entries.flatMap(({ node }) =>
      node.type === 'directory' && !this.#isMarked(node.digest) ? [node] : [],
    )
    return { directory, below, next: 0, read: [] }
  }

  /** The next Directory below one that is to be walked, undefined where there is none left. */
  async #nextBelow(open: OpenDirectory, call: Call): Promise<Directory | undefined> {
    for (;;) {
      const directory = open.read.shift()
      if (directory === undefined) {
        const nodes = open.below.slice(open.next, open.next + DIRECTORIES_AT_ONCE)
        if (nodes.length === 0) return undefined
        open.next += nodes.length
        const unmarked = nodes.filter(({ digest }) => !this.#isMarked(digest))
        open.read = await Promise.all(unmarked.map((node) => this.#read(node, call)))
      } else if (!this.#isMarked(directory.digest)) {
        return directory
      }
    }
  }

  async #read({ digest }: DirectoryNode, call: Call): Promise<Directory> {
    const directory = await this.#castore.directories.get(digest, call)
    if (directory === undefined) throw incomplete('directory', digest)
    return directory
  }

  async #markFiles(files: readonly FileNode[], call: Call): Promise<void> {
    for (let from = 0; from < files.length; from += FILES_AT_ONCE) {
      const digests = files.slice(from, from + FILES_AT_ONCE).map(({ digest }) => digest)
      const layouts = await this.#castore.blobs.layouts(digests, call)
      for (const [i, digest] of digests.entries()) {
        const layout = layouts[i]
        if (layout === undefined) throw incomplete('blob', digest)
        for (const chunk of layout) {
          if (chunk.digest !== digest) this.#gather('blob', chunk.digest)
          if (this.#gathered.length >= MARKS_GATHERED_MAX) await this.#write()
        }
        if (!digest.equals(EMPTY_BLOB)) this.#gather('blob', digest)
      }
    }
  }

  #isMarked({ hex, bytes }: Digest): boolean {
    const isGathered = this.#gatheredDirectories.has(hex)
    return isGathered || this.#marks.generationOf('directory', bytes) >= this.#generation
  }

  #gather(kind: 'directory' | 'blob', digest: Digest): void {
    // A blob may be marked already, but to look that up costs as much as to mark it again.
    if (kind === 'directory') this.#gatheredDirectories.add(digest.hex)
    this.#gathered.push({ kind, key: digest.bytes })
  }

  async #write(): Promise<void> {
    const marks = this.#gathered.splice(0)
    if (marks.length > 0) await this.#marks.mark(marks, this.#generation)
    this.#gatheredDirectories.clear()
  }
}

function filesOf(directory: Directory): FileNode[] {
  return directory.entries.flatMap(({ node }) => (node.type === 'file' ? [node] : []))
}

function incomplete(what: string, digest: Digest): CastoreError {
  const fault = { code: 'incomplete', digest: digest.hex } as const
  return new CastoreError(fault, `${what} ${digest} is referred to but not held`)
}
