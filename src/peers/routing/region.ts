import { commonBits, compareNearness } from './kademlia-id.ts'

/** A DHT server, and where it is in the key space. */
export interface Server {
  readonly peer: string
  readonly place: Uint8Array
}

/** A part of the key space whose keys all go to the same servers, or nearly so. */
export interface Region {
  /** A place in it. */
  readonly place: Uint8Array
  /** How many bits of that a place in the region begins with; 0 is the whole space. */
  readonly bits: number
  /** The servers that keep its records. */
  readonly servers: readonly Server[]
}

/**
 * The region around a place whose nearest servers a lookup has found, `k` of them at the most.
 * Fewer than `k` are all that there are, and keep everything. Else those that share one bit more
 * with the place than the farthest of them are all among them, so the keys there have these in
 * common, and differ only in which of those beyond that bit are the next.
 */
export function regionAround(place: Uint8Array, found: readonly Server[], k: number): Region {
  const servers = found.toSorted((a, b) => compareNearness(place, a.place, b.place)).slice(0, k)
  const farthest = servers[k - 1]
  const bits = farthest === undefined ? 0 : commonBits(place, farthest.place) + 1
  return { place, bits, servers }
}

/** Whether a place is in the region. */
export function isWithin(region: Region, place: Uint8Array): boolean {
  return commonBits(region.place, place) >= region.bits
}

/** How many of the places, from the first on, are in the region. */
export function countWithin(region: Region, places: readonly Uint8Array[]): number {
  const end = places.findIndex((place) => !isWithin(region, place))
  return end === -1 ? places.length : end
}
