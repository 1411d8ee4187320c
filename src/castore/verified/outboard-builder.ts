import { blake3 } from '../../foundation/blake3.ts'
import { Digest } from '../../foundation/digest.ts'
import { CHAINING_VALUE_BYTES } from './blake3-compression.ts'
import { fastestSubtreeHasher } from './fastest-subtree-hasher.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'
import { GROUP_LOG, PARENT_BYTES, TreeShape } from './tree-shape.ts'

/** For how many groups' chaining values there is room at first; it doubles when it is full. */
const GROUPS_AT_FIRST = 64

export interface OutboardBuilderInit {
  /** Binary logarithm of the leaves in a group, {@link GROUP_LOG} by default: as others do it. */
  readonly groupLog?: number
  /** What computes the tree, {@link fastestSubtreeHasher} by default. */
  readonly hasher?: SubtreeHasher
}

/** What a blob is called, how long it is, and the parents of its tree in pre-order. */
export interface BuiltOutboard {
  readonly digest: Digest
  /** Length of the blob, in bytes. */
  readonly size: number
  /** Empty where the blob is not longer than a group. */
  readonly outboard: Uint8Array
}

/**
 * Computes a blob's digest and outboard in one pass, however the blob is split into pieces. It
 * holds back one group, and half an outboard of chaining values: parents are hashed at the end,
 * when it is known how many there are and where each belongs.
 */
export class OutboardBuilder {
  readonly #groupLog: number
  readonly #groupBytes: number
  readonly #hasher: SubtreeHasher
  /** Chaining values of the groups so far, those of parents never. */
  #values: Uint8Array = new Uint8Array(0)
  #groups = 0
  #held: Uint8Array | undefined
  #heldBytes = 0

  /** @throws RangeError where there are no groups of such a size */
  constructor(init: OutboardBuilderInit = {}) {
    const shape = new TreeShape(0, init.groupLog ?? GROUP_LOG)
    this.#groupLog = shape.groupLog
    this.#groupBytes = shape.groupBytes
    this.#hasher = init.hasher ?? fastestSubtreeHasher()
  }

  /** Takes the next bytes of the blob, which are not kept. */
  push(bytes: Uint8Array): void {
    let rest = bytes
    if (this.#heldBytes > 0) {
      const room = this.#groupBytes - this.#heldBytes
      rest = bytes.subarray(room)
      this.#hold(bytes.subarray(0, room))
      if (rest.length === 0) return
      this.#hash(this.#held!)
      this.#heldBytes = 0
    }
    // The last group is held back even if it is full: the only group of a blob is hashed apart.
    const whole = Math.max(0, Math.ceil(rest.length / this.#groupBytes) - 1) * this.#groupBytes
    if (whole > 0) this.#hash(rest.subarray(0, whole))
    this.#hold(rest.subarray(whole))
  }

  /** Ends the blob. Another may follow. */
  finish(): BuiltOutboard {
    const last = this.#held?.subarray(0, this.#heldBytes) ?? new Uint8Array(0)
    const size = this.#groups * this.#groupBytes + last.length
    const shape = new TreeShape(size, this.#groupLog)
    if (shape.groups > 1) this.#hash(last)
    const groups = this.#groups
    this.#groups = 0
    this.#heldBytes = 0
    if (groups === 0) return { digest: Digest.of(blake3(last)), size, outboard: new Uint8Array(0) }
    const outboard = new Uint8Array(shape.outboardBytes)
    return { digest: this.#joinAll(groups, outboard), size, outboard }
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#held ??= Buffer.allocUnsafeSlow(this.#groupBytes)
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes += bytes.length
  }

  /** Hashes whole groups, the blob's last one besides. */
  #hash(bytes: Uint8Array): void {
    const values = this.#hasher.groups(bytes, this.#groups, this.#groupLog)
    const end = this.#groups * CHAINING_VALUE_BYTES
    while (end + values.length > this.#values.length) {
      const least = GROUPS_AT_FIRST * CHAINING_VALUE_BYTES
      const larger = new Uint8Array(Math.max(2 * this.#values.length, least))
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values.set(values, end)
    this.#groups += values.length / CHAINING_VALUE_BYTES
  }

  /** Writes the parents of the groups to where they belong, level by level; says the digest. */
  #joinAll(groups: number, outboard: Uint8Array): Digest {
    let values = this.#values.subarray(0, groups * CHAINING_VALUE_BYTES)
    for (let width = 2; width < 2 * groups; width *= 2) {
      const pairs = Math.floor(values.length / PARENT_BYTES)
      for (let i = 0; i < pairs; i++) {
        const pair = values.subarray(i * PARENT_BYTES, (i + 1) * PARENT_BYTES)
        outboard.set(pair, parentBefore(i * width, width, groups) * PARENT_BYTES)
      }
      if (width >= groups) break
      // An odd value at the end has no sibling on this level, and goes up as it is.
      const odd = values.subarray(pairs * PARENT_BYTES)
      const joined = this.#hasher.parents(values.subarray(0, pairs * PARENT_BYTES))
      values = odd.length === 0 ? joined : Buffer.concat([joined, odd])
    }
    return Digest.of(this.#hasher.root(values))
  }
}

/**
 * How many parents come before the one over `width` groups (a power of two) from `firstGroup` on,
 * in a tree of so many groups. The groups to its left make up full subtrees, each with one parent
 * less than groups; and each of them hangs on an ancestor. That makes one for each group to the
 * left. What is missing are the ancestors that have the parent in their left half.
 */
function parentBefore(firstGroup: number, width: number, groups: number): number {
  let before = firstGroup
  for (let half = width; half < groups; half *= 2) {
    const within = firstGroup % (2 * half)
    const isLeft = within < half && firstGroup - within + half < groups
    if (isLeft) before++
  }
  return before
}
