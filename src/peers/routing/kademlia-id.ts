import { createHash } from 'node:crypto'

/** Length of a routing key, which is a SHA-256, in bytes. */
export const ROUTING_KEY_BYTES = 32

// The code of sha2-256 and the length of its digests: what goes before one in a multihash.
const MULTIHASH_HEAD = Uint8Array.of(0x12, 0x20)

/** The multihash that stands for a routing key in the messages of Kademlia. */
export function multihashOf(key: Uint8Array): Uint8Array {
  return Buffer.concat([MULTIHASH_HEAD, key])
}

/**
 * Where a multihash is in the key space: that of a key or that of a node's id.
 * Kademlia as libp2p speaks it compares the SHA-256 of both.
 */
export function placeOf(multihash: Uint8Array): Uint8Array {
  return createHash('sha256').update(multihash).digest()
}

/** Where a routing key is in the key space. */
export function placeOfKey(key: Uint8Array): Uint8Array {
  return createHash('sha256').update(MULTIHASH_HEAD).update(key).digest()
}

/** How many bits two places have in common, from the first on. */
export function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (const [i, byte] of a.entries()) {
    const difference = byte ^ b[i]!
    if (difference !== 0) return 8 * i + Math.clz32(difference) - 24
  }
  return 8 * a.length
}

/** Whether `a` or `b` is nearer to a place by the XOR of both: negative if it is `a`. */
export function compareNearness(place: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (const [i, byte] of place.entries()) {
    const difference = (byte ^ a[i]!) - (byte ^ b[i]!)
    if (difference !== 0) return difference
  }
  return 0
}

/** Keys in the order of their places, so that those next to each other go to the same nodes. */
export function inSpaceOrder(keys: readonly Uint8Array[]): Uint8Array[] {
  const placed = keys.map((key) => ({ key, place: placeOfKey(key) }))
  return placed.sort((a, b) => Buffer.compare(a.place, b.place)).map(({ key }) => key)
}
