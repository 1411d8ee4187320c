import type { ChunkRef } from '../../castore/blob-store.ts'

/** How many chunks of a pull are told at once. */
export const TOLD_AT_ONCE = 4_096

/** For how long what was stored is gathered before it is told. */
export const PULL_NEWS_MS = 20

/** How often something is said of a pull at least, so that silence means something. */
export const PULL_KEEPALIVE_MS = 5_000

/** For how long a peer may say nothing of a pull before it counts as out of it. */
export const PULL_SILENCE_MS = 15_000

/** What a node does about a path that it wants: waits its turn, pulls it, or has it whole. */
export type PullPhase = 'waiting' | 'pulling' | 'complete'

/** What a node tells of a path that it wants to pull from a cache; each time only what is new. */
export interface PullNews {
  readonly phase: PullPhase
  /** Tells one pull from the next; 0 where it waits. */
  readonly run: number
  /** How much of the NAR has come so far, in bytes. */
  readonly pulledBytes: number
  /** Chunks that have been stored since, in the order of the NAR. */
  readonly chunks: readonly ChunkRef[]
}
