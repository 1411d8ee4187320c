import type { Directory } from '../castore/model/directory.ts'
import type { DirectoryNode } from '../castore/model/node.ts'
import type { Digest } from '../foundation/digest.ts'
import { rpcError } from './rpc-error.ts'
import { CLOSURE_BYTES_MAX, CLOSURE_DIRECTORIES_MAX } from './rpc-limits.ts'

/** How a {@link DirectoryClosureIntake} is tuned. */
export interface DirectoryClosureInit {
  /** {@link CLOSURE_DIRECTORIES_MAX} by default. */
  readonly directoriesMax?: number
  /** Of their canonical encodings; {@link CLOSURE_BYTES_MAX} by default. */
  readonly bytesMax?: number
}

/**
 * Judges a stream of Directories as it arrives: children before their parents, all of them below
 * the last one, which is the root. The same Directory may come again: tvix takes that, too. What a
 * Directory refers to may also be held already; whoever stores it sees to that.
 */
export class DirectoryClosureIntake {
  readonly #directoriesMax: number
  readonly #bytesMax: number
  /** The size of each Directory that came. */
  readonly #sizes = new Map<string, number>()
  /** What was referred to without having come. */
  readonly #outside = new Map<string, number>()
  /** What came and has not been referred to yet. */
  readonly #tops = new Map<string, Digest>()
  #root: Digest | undefined
  #bytes = 0

  constructor(_components: object, init: DirectoryClosureInit = {}) {
    this.#directoriesMax = init.directoriesMax ?? CLOSURE_DIRECTORIES_MAX
    this.#bytesMax = init.bytesMax ?? CLOSURE_BYTES_MAX
  }

  /** Takes the next one; false where it came before, and is stored already. @throws RpcError */
  add(directory: Directory): boolean {
    const { digest } = directory
    this.#count(directory)
    if (this.#sizes.has(digest.hex)) return false
    if (this.#outside.has(digest.hex)) {
      throw broken(`directory ${digest} comes after one that refers to it`)
    }
    for (const { node } of directory.entries) if (node.type === 'directory') this.#refer(node)
    this.#sizes.set(digest.hex, directory.size)
    this.#tops.set(digest.hex, digest)
    this.#root = digest
    return true
  }

  /** Ends the stream and says which is the root. @throws RpcError */
  finish(): Digest {
    const root = this.#root
    if (root === undefined) throw broken('a stream of Directories has at least one')
    for (const [hex, digest] of this.#tops) {
      if (hex === root.hex) continue
      throw broken(`directory ${digest} is not below the last one, ${root}`)
    }
    return root
  }

  #count({ encoded }: Directory): void {
    this.#bytes += encoded.length
    if (this.#sizes.size >= this.#directoriesMax) {
      throw rpcError('too-much', `one stream has at most ${this.#directoriesMax} Directories`)
    }
    if (this.#bytes > this.#bytesMax) {
      throw rpcError('too-much', `one stream has at most ${this.#bytesMax} bytes of Directories`)
    }
  }

  #refer(child: DirectoryNode): void {
    const { digest, size } = child
    const known = this.#sizes.get(digest.hex) ?? this.#outside.get(digest.hex)
    if (known === undefined) this.#outside.set(digest.hex, size)
    else if (known !== size) {
      throw broken(`directory ${digest} has ${known} entries below it, its parent says ${size}`)
    }
    this.#tops.delete(digest.hex)
  }
}

function broken(what: string): Error {
  return rpcError('bad-request', what)
}
