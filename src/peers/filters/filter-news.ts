/** How many bytes of a snapshot are told at once. */
export const PART_BYTES = 64 * 1024

/** How many bytes the keyed hash of a path has, the lowest first. */
export const HASH_BYTES = 8

/** How many hashes of paths that came are told at once. */
export const ADDED_AT_ONCE = 4_096

/** How often something is said at least: pings are as rare, and silence has to mean something. */
export const FILTER_KEEPALIVE_MS = 120_000

/** For how long news is gathered after some was told; after a quiet time it is told at once. */
export const FILTER_NEWS_MS = 20

/** For how long a peer may say nothing before its filter is dropped. */
export const FILTER_SILENCE_MS = 300_000

/** What a node tells of the paths that it shares; nothing in it means that it is still there. */
export interface FilterNews {
  /** A new snapshot begins, of a filter of so many bytes. */
  readonly snapshotBytes?: number
  /** The next bytes of the snapshot; the one before it counts until it is complete. */
  readonly bits?: Uint8Array
  /** Hashes of paths that have come since, of {@link HASH_BYTES} each. */
  readonly added?: Uint8Array
}
