import type { Castore } from '../castore/castore.ts'
import { CastoreError } from '../castore/castore-error.ts'
import { encodeRoot } from '../castore/model/directory-codec.ts'
import type { FileNode, Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { Digest } from '../foundation/digest.ts'

/** How many roots are remembered to be whole. */
export const WHOLE_ROOTS_MAX = 16_384

/** For how long a root is taken for whole without another look. */
export const WHOLE_MS = 60_000

/** How many files are looked up at once. */
const BATCH_FILES = 512

/**
 * Knows which roots are held whole: all of their Directories, and all chunks of their files. That a
 * NAR is here may be said only of those, since a client that is told so will not send it again. No
 * content is read; roots found whole are remembered for a while, missing ones are looked at anew.
 */
export class WholeRoots {
  readonly #castore: Castore
  readonly #clock: Clock
  /** Until when each is taken for whole, in the order of that. */
  readonly #until = new Map<string, number>()

  constructor(components: { readonly castore: Castore; readonly clock: Clock }) {
    this.#castore = components.castore
    this.#clock = components.clock
  }

  /** Whether all that is below the root is here. */
  async has(root: Node, call: Call): Promise<boolean> {
    if (root.type === 'symlink') return true
    const key = rootKey(root)
    const until = this.#until.get(key)
    if (until !== undefined && until > this.#clock.now()) return true
    if (!(await this.#look(root, call))) return false
    this.#until.delete(key) // to the end
    this.#until.set(key, this.#clock.now() + WHOLE_MS)
    if (this.#until.size > WHOLE_ROOTS_MAX) {
      for (const oldest of this.#until.keys()) {
        this.#until.delete(oldest)
        break
      }
    }
    return true
  }

  async #look(root: Node, call: Call): Promise<boolean> {
    if (root.type === 'file') return await this.#filesHeld([root], call)
    if (root.type === 'symlink') return true
    let files: FileNode[] = []
    let isRootHeld = false
    try {
      for await (const directory of this.#castore.directories.closure(root.digest, call)) {
        if (!isRootHeld && directory.size !== root.size) return false
        isRootHeld = true
        for (const { node } of directory.entries) if (node.type === 'file') files.push(node)
        if (files.length < BATCH_FILES) continue
        if (!(await this.#filesHeld(files, call))) return false
        files = []
      }
    } catch (error) {
      if (error instanceof CastoreError && error.fault.code === 'incomplete') return false
      throw error
    }
    return isRootHeld && (await this.#filesHeld(files, call))
  }

  async #filesHeld(files: readonly FileNode[], call: Call): Promise<boolean> {
    const { blobs } = this.#castore
    const layouts = await blobs.layouts(
      files.map(({ digest }) => digest),
      call,
    )
    const chunks = layouts.map((it) => it ?? [])
    const lengths = chunks.map((it) => it.reduce((sum, { size }) => sum + size, 0))
    const fits = files.every(({ size }, i) => layouts[i] !== undefined && lengths[i] === size)
    if (!fits) return false
    const several = chunks.flatMap((it) => (it.length > 1 ? it : []))
    const sizes = await blobs.chunkSizes(
      several.map(({ digest }) => digest),
      call,
    )
    return several.every(({ size }, i) => sizes[i] === size)
  }
}

/** What a root is known by: equal for equal roots, and of one length. */
export function rootKey(root: Node): string {
  return Digest.ofContent(encodeRoot(root)).hex
}
