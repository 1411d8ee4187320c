import type { DirectorySource } from '../castore/directory-store.ts'
import type { Directory } from '../castore/model/directory.ts'
import type { DirectoryNode, Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { NarError } from './nar-error.ts'

/**
 * The Directories below a root, taken from their closure as a walk comes to need them: a closure
 * brings many in one go, where single look-ups would each wait. Those that came stay in memory.
 */
export class DirectoryTree implements AsyncDisposable {
  readonly #known = new Map<string, Directory>()
  readonly #coming: AsyncIterator<Directory> | undefined

  constructor(directories: Pick<DirectorySource, 'closure'>, root: Node, call: Call) {
    if (root.type !== 'directory') return
    this.#coming = directories.closure(root.digest, call)[Symbol.asyncIterator]()
  }

  /** The Directory, if it has come already. */
  peek(node: DirectoryNode): Directory | undefined {
    return this.#known.get(node.digest.hex)
  }

  /** The Directory. @throws NarError 'directory-missing' */
  async get(node: DirectoryNode): Promise<Directory> {
    for (;;) {
      const known = this.peek(node)
      if (known !== undefined) return known
      if (!(await this.#next())) throw missing(node)
    }
  }

  /** Waits until all have come. */
  async load(): Promise<void> {
    while (await this.#next()) {}
  }

  /** The Directory, which has to have come. @throws NarError 'directory-missing' */
  loaded(node: DirectoryNode): Directory {
    const known = this.peek(node)
    if (known === undefined) throw missing(node)
    return known
  }

  async #next(): Promise<boolean> {
    const next = await this.#coming?.next()
    if (next === undefined || next.done === true) return false
    this.#known.set(next.value.digest.hex, next.value)
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#coming?.return?.()
  }
}

function missing(node: DirectoryNode): NarError {
  const fault = { code: 'directory-missing', digest: node.digest.hex } as const
  return new NarError(fault, `directory ${node.digest} is not held`)
}
