import { equalBytes } from '../../foundation/bytes.ts'
import type { Digest } from '../../foundation/digest.ts'
import { CHAINING_VALUE_BYTES } from './blake3-compression.ts'
import { ProofError } from './proof-error.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'
import { halvesOf, type Subtree, type TreeShape } from './tree-shape.ts'

/** A part of the tree, and the chaining value that it is proven to have if the digest is right. */
export interface ExpectedSubtree {
  readonly subtree: Subtree
  /** For the whole tree its digest, 32 bytes. */
  readonly value: Uint8Array
}

/** The whole tree of a blob: all that is known of it at first is its digest. */
export function expectedRoot(shape: TreeShape, digest: Digest): ExpectedSubtree {
  return { subtree: shape.root, value: digest.bytes }
}

/**
 * The halves of a subtree of several groups, by what is claimed to be its parent.
 * @param pair the parent's 64 bytes, which must not change
 * @throws ProofError 'parent-corrupt' where they are not what is expected
 */
export function expectedHalves(
  { subtree, value }: ExpectedSubtree,
  pair: Uint8Array,
  shape: TreeShape,
  hasher: SubtreeHasher,
): readonly [left: ExpectedSubtree, right: ExpectedSubtree] {
  const isRoot = subtree.groups === shape.groups
  if (!equalBytes(isRoot ? hasher.root(pair) : hasher.parents(pair), value)) {
    const { firstGroup, groups } = subtree
    const what = `the outboard's parent over ${groups} groups from ${firstGroup} on is wrong`
    throw new ProofError({ code: 'parent-corrupt', firstGroup, groups }, what)
  }
  const [left, right] = halvesOf(subtree)
  return [
    { subtree: left, value: pair.subarray(0, CHAINING_VALUE_BYTES) },
    { subtree: right, value: pair.subarray(CHAINING_VALUE_BYTES) },
  ]
}
