import type { Digest } from '../../foundation/digest.ts'
import { type ExpectedSubtree, expectedHalves, expectedRoot } from './expected-subtree.ts'
import { fastestSubtreeHasher } from './fastest-subtree-hasher.ts'
import { checkGroups } from './group-check.ts'
import { ProofError } from './proof-error.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'
import { GROUP_LOG, PARENT_BYTES, TreeShape } from './tree-shape.ts'

export interface OutboardInit {
  /** Binary logarithm of the leaves in a group, {@link GROUP_LOG} by default: as others do it. */
  readonly groupLog?: number
  /** What computes the tree, {@link fastestSubtreeHasher} by default. */
  readonly hasher?: SubtreeHasher
}

/**
 * What somebody claims to be the outboard of a blob: only the digest is believed. Nothing of it is
 * taken for true before it is hashed, so that it may come from anyone.
 *
 * A wrong size is noticed with the blob's last group, if not before: who has it from a stranger
 * does not know it before that group is proven. What other groups hold is certain all the same.
 * That a blob is empty, though, is known at once.
 */
export class Outboard {
  readonly digest: Digest
  readonly shape: TreeShape
  /** The parents in pre-order, {@link PARENT_BYTES} each. */
  readonly bytes: Uint8Array
  readonly hasher: SubtreeHasher

  /**
   * @param size length of the blob in bytes, as claimed
   * @param bytes the claimed parents; they are not copied and must not change
   * @throws ProofError 'size-invalid' or 'outboard-length'; 'group-corrupt' where the blob is
   * claimed to be empty and is not
   */
  constructor(digest: Digest, size: number, bytes: Uint8Array, init: OutboardInit = {}) {
    this.digest = digest
    this.shape = new TreeShape(size, init.groupLog ?? GROUP_LOG)
    this.bytes = bytes
    this.hasher = init.hasher ?? fastestSubtreeHasher()
    const expected = this.shape.outboardBytes
    if (bytes.length !== expected) {
      const what = `an outboard of ${bytes.length} bytes where ${expected} are right`
      throw new ProofError({ code: 'outboard-length', bytes: bytes.length, expected }, what)
    }
    // Nobody will ever read a byte of it, and so nothing else would notice.
    if (size === 0) checkGroups(bytes, 0, [digest.bytes], this.shape, this.hasher)
  }

  /**
   * The chaining values that the groups have to have, from the given one on, each as soon as the
   * parents above it are checked: those on the way to the first, then about one for each group.
   * After a throw, asking again throws again.
   * @throws ProofError 'parent-corrupt'
   */
  expectedFrom(firstGroup: number): ExpectedGroups {
    return new ExpectedGroups(this, firstGroup)
  }

  /** Checks all parents, without any of the blob's bytes. @throws ProofError 'parent-corrupt' */
  verify(): void {
    const expected = this.expectedFrom(0)
    for (let group = 0; group < this.shape.groups; group++) expected.next()
  }
}

/** Goes down an {@link Outboard} to one group after the other, checking the parents on the way. */
export class ExpectedGroups {
  readonly #outboard: Outboard
  /** What is right of the way down, the nearest at the end. */
  readonly #ahead: ExpectedSubtree[]
  #group: number

  constructor(outboard: Outboard, firstGroup: number) {
    this.#outboard = outboard
    this.#ahead = [expectedRoot(outboard.shape, outboard.digest)]
    this.#group = firstGroup
  }

  /** The chaining value of the next group. @throws ProofError; RangeError beyond the end */
  next(): Uint8Array {
    const { shape, bytes, hasher } = this.#outboard
    for (let top = this.#ahead.at(-1); top !== undefined; top = this.#ahead.at(-1)) {
      const { firstGroup, groups, parent } = top.subtree
      const isBefore = firstGroup + groups <= this.#group
      if (isBefore || groups === 1) {
        this.#ahead.pop()
        if (isBefore) continue
        this.#group++
        return top.value
      }
      const pair = bytes.subarray(parent * PARENT_BYTES, (parent + 1) * PARENT_BYTES)
      const [left, right] = expectedHalves(top, pair, shape, hasher)
      this.#ahead.pop()
      this.#ahead.push(right, left)
    }
    throw new RangeError(`the blob has ${shape.groups} groups, no number ${this.#group}`)
  }
}
