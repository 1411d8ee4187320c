import { CastoreError, invalid } from '../../castore/castore-error.ts'
import type { Directory } from '../../castore/model/directory.ts'
import type { Digest } from '../../foundation/digest.ts'
import { CLOSURE_DIRECTORIES_MAX } from '../rpc-limits.ts'

/**
 * Judges the Directories of a closure as they come: the root first, a child only after something
 * that refers to it, each once, none missing, sizes as their parents say.
 */
export class ClosureCheck {
  /** The size that each digest referred to must have; undefined for the root's. */
  readonly #expected = new Map<string, number | undefined>()
  readonly #root: Digest
  readonly #directoriesMax: number
  readonly #came = new Map<string, number>()

  constructor(_components: object, init: { root: Digest; directoriesMax?: number }) {
    this.#root = init.root
    this.#directoriesMax = init.directoriesMax ?? CLOSURE_DIRECTORIES_MAX
    this.#expected.set(init.root.hex, undefined)
  }

  /** Takes the next one. @throws CastoreError where it has no place in the closure */
  take(directory: Directory): void {
    const { digest, size } = directory
    if (!this.#expected.has(digest.hex)) {
      throw invalid(`directory ${digest} is not below ${this.#root}, or comes twice`)
    }
    this.#checkSize(digest, size, this.#expected.get(digest.hex))
    this.#expected.delete(digest.hex)
    this.#came.set(digest.hex, size)
    for (const { node } of directory.entries) {
      if (node.type !== 'directory') continue
      const known = this.#came.get(node.digest.hex) ?? this.#expected.get(node.digest.hex)
      if (known !== undefined) this.#checkSize(node.digest, known, node.size)
      else this.#expected.set(node.digest.hex, node.size)
    }
    if (this.#came.size + this.#expected.size > this.#directoriesMax) {
      throw invalid(`there are more than ${this.#directoriesMax} Directories below ${this.#root}`)
    }
  }

  /** Ends the closure. @throws CastoreError 'incomplete' where something has not come */
  finish(): void {
    const [missing] = this.#expected.keys()
    if (missing === undefined) return
    const what = `directory b3:${missing} is below ${this.#root} but did not come`
    throw new CastoreError({ code: 'incomplete', digest: missing }, what)
  }

  #checkSize(digest: Digest, size: number, claimed: number | undefined): void {
    if (claimed === undefined || claimed === size) return
    throw invalid(`directory ${digest} has ${size} entries below it, its parent says ${claimed}`)
  }
}
