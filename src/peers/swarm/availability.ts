/** How those who fetch from one who has everything divide the work. */
export interface Division {
  /** How many they are. */
  readonly members: number
  /** Which of them one is, from 0 on. */
  readonly rank: number
}

/** What a member of a swarm says of the pieces that it has; each says only what is new. */
export interface Availability {
  /**
   * It has everything below the root. Nothing follows from one who has been fetching it, and from
   * one who had it before only how the work is divided.
   */
  readonly complete?: boolean
  /** How those divide the work who fetch from this one. */
  readonly division?: Division
  /** What it has at the start: a bit for each piece, as a BitSet is written. */
  readonly held?: Uint8Array
  /** Pieces that have come since. */
  readonly added?: readonly number[]
  /** Pieces that it fetches from one who has everything, so that others need not. */
  readonly claimed?: readonly number[]
  /** Of those, what it does not fetch any more. */
  readonly released?: readonly number[]
}

/** How often a member says something at least, so that its silence means something. */
export const KEEPALIVE_MS = 1_000

/** For how long a member may say nothing before it counts as gone, in milliseconds. */
export const MEMBER_SILENCE_MS = 15_000

/** For how long news is gathered before it is told. */
export const NEWS_MS = 20
