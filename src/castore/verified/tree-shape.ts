import { CHAINING_VALUE_BYTES, LEAF_BYTES } from './blake3-compression.ts'
import { ProofError } from './proof-error.ts'

/**
 * The binary logarithm of how many leaves of 1 KiB make a group, the unit that is proven: 16 KiB,
 * as in iroh, for outboards of 0.39 % of their blobs. (tvix and snix leave the size open.)
 */
export const GROUP_LOG = 4

/** The largest groups that are supported, as a binary logarithm: 256 KiB. */
export const GROUP_LOG_MAX = 8

/** Length of a parent in an outboard, in bytes: the chaining values of its two children. */
export const PARENT_BYTES = 2 * CHAINING_VALUE_BYTES

/** A part of the tree: some groups in a row. */
export interface Subtree {
  readonly firstGroup: number
  /** How many groups; a subtree of one has no parent in the outboard. */
  readonly groups: number
  /** Where in the outboard its parent is, counted in parents. */
  readonly parent: number
}

/** A stretch of bytes, `to` being the first one behind it. */
export interface Span {
  readonly from: number
  readonly to: number
}

/**
 * How the BLAKE3 tree of a blob of some size is laid out over groups. The outboard holds the
 * parents above the groups in pre-order: each before what is below it, its left before its right.
 * That is the `PreOrderOutboard` of the Rust crate bao-tree (since 2024), which has no header.
 */
export class TreeShape {
  /** Length of the blob, in bytes. */
  readonly size: number
  readonly groupLog: number
  readonly groupBytes: number
  /** How many groups there are: at least one, which is empty where the blob is. */
  readonly groups: number
  /** The length that an outboard for a blob of this size has, in bytes. */
  readonly outboardBytes: number
  readonly root: Subtree

  /** @throws ProofError 'size-invalid' */
  constructor(size: number, groupLog: number = GROUP_LOG) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new ProofError({ code: 'size-invalid', size }, `no blob has ${size} bytes`)
    }
    if (!Number.isInteger(groupLog) || groupLog < 0 || groupLog > GROUP_LOG_MAX) {
      throw new RangeError(`groups of 2^${groupLog} leaves; 2^0 to 2^${GROUP_LOG_MAX} are possible`)
    }
    this.size = size
    this.groupLog = groupLog
    this.groupBytes = LEAF_BYTES << groupLog
    this.groups = Math.max(1, Math.ceil(size / this.groupBytes))
    this.outboardBytes = (this.groups - 1) * PARENT_BYTES
    this.root = { firstGroup: 0, groups: this.groups, parent: 0 }
  }

  /** Which bytes of the blob are a group's. */
  spanOf(group: number): Span {
    const from = group * this.groupBytes
    return { from, to: Math.min(from + this.groupBytes, this.size) }
  }

  /**
   * The bytes of the groups that a range touches: what has to be read to prove the range. It may
   * reach beyond the blob's end, which the last group proves: a range behind the end touches that
   * one. An empty range touches nothing.
   */
  spanToProve(offset: number, length: number): Span {
    const lastGroup = this.groups - 1
    const first = this.spanOf(Math.min(Math.floor(offset / this.groupBytes), lastGroup))
    if (length === 0) return { from: first.from, to: first.from }
    const end = Math.min(Math.ceil((offset + length) / this.groupBytes) - 1, lastGroup)
    return { from: first.from, to: this.spanOf(end).to }
  }
}

/** The halves of a subtree of several groups; the left is the largest full tree that leaves one. */
export function halvesOf(subtree: Subtree): readonly [left: Subtree, right: Subtree] {
  const { firstGroup, groups, parent } = subtree
  let left = 1
  while (left * 2 < groups) left *= 2
  // The left half's parents, one fewer than its groups, lie between.
  return [
    { firstGroup, groups: left, parent: parent + 1 },
    { firstGroup: firstGroup + left, groups: groups - left, parent: parent + left },
  ]
}
