/**
 * Computes chaining values inside the BLAKE3 tree, none of them with the root flag: a blob of one
 * group has just its digest. Calls neither wait nor keep anything from one to the next.
 */
export interface SubtreeHasher {
  /**
   * The chaining values of groups in a row, one behind the other in fresh memory.
   * @param bytes at least one; where they are no whole groups, they end with the blob's last one
   * @param firstGroup which group of the blob the bytes begin with
   * @param groupLog the binary logarithm of the leaves in a group
   */
  groups(bytes: Uint8Array, firstGroup: number, groupLog: number): Uint8Array

  /**
   * The chaining values of parents, one behind the other in fresh memory.
   * @param pairs 64 bytes for each parent: the chaining values of its children
   */
  parents(pairs: Uint8Array): Uint8Array

  /** The digest of a blob by the one parent at the top of its tree, of 64 bytes. */
  root(pair: Uint8Array): Uint8Array
}
