import { blake3 } from '../../foundation/blake3.ts'
import { equalBytes } from '../../foundation/bytes.ts'
import { CHAINING_VALUE_BYTES } from './blake3-compression.ts'
import { ProofError } from './proof-error.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'
import type { TreeShape } from './tree-shape.ts'

/**
 * Checks groups in a row against the chaining values that they are proven to have.
 * @param bytes whole groups from `firstGroup` on; the last one of the blob may be shorter
 * @param expected one value for each of the groups
 * @throws ProofError 'group-corrupt' with the first that is wrong
 */
export function checkGroups(
  bytes: Uint8Array,
  firstGroup: number,
  expected: readonly Uint8Array[],
  shape: TreeShape,
  hasher: SubtreeHasher,
): void {
  const isWholeBlob = shape.groups === 1
  const values = isWholeBlob ? blake3(bytes) : hasher.groups(bytes, firstGroup, shape.groupLog)
  for (const [i, value] of expected.entries()) {
    const from = i * CHAINING_VALUE_BYTES
    if (equalBytes(values.subarray(from, from + CHAINING_VALUE_BYTES), value)) continue
    const group = firstGroup + i
    throw new ProofError({ code: 'group-corrupt', group }, `the bytes of group ${group} are wrong`)
  }
}
