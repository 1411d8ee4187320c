import { createHash } from 'node:crypto'
import type { Digest } from '../../foundation/digest.ts'

/**
 * The key under which a store path is announced: the SHA-256 of its hash part behind a name of its
 * own. Kademlia nodes handle sha2-256 only, and a key that is a hash of the name keeps the names of
 * what a node holds out of the DHT.
 */
export function pathKey(storePathHash: Uint8Array): Uint8Array {
  return createHash('sha256').update('cairn/path/').update(storePathHash).digest()
}

/** The key under which a Directory is announced. */
export function directoryKey(digest: Digest): Uint8Array {
  return createHash('sha256').update('cairn/directory/').update(digest.bytes).digest()
}

/** The key under which a blob is announced. */
export function blobKey(digest: Digest): Uint8Array {
  return createHash('sha256').update('cairn/blob/').update(digest.bytes).digest()
}

/** The key under which a chunk is announced. */
export function chunkKey(digest: Digest): Uint8Array {
  return createHash('sha256').update('cairn/chunk/').update(digest.bytes).digest()
}
