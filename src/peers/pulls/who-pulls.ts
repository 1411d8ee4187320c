import type { PullPhase } from './pull-news.ts'

/** How long each node waits for the one before it in the order to begin, in milliseconds. */
export const TURN_MS = 400

/** Who has stored more than this of a pull goes on, whoever else pulls the same, in bytes. */
export const YIELD_BYTES_MAX = 4 * 1024 * 1024

/** Another node that wants the path. */
export interface Rival {
  readonly id: string
  /** Who weighs more has the better right; the same seen from every node (rendezvous hashing). */
  readonly weight: number
  readonly phase: PullPhase
  /** How many bytes of content it has told that it has stored of its pull. */
  readonly toldBytes: number
  /** Whether its word counts for nothing any more: it went silent, or was wrong before. */
  readonly isSpent: boolean
}

/** What one node knows of who wants a path: plain data. */
export interface PullScene {
  readonly self: { readonly id: string; readonly weight: number }
  /** How many bytes this node has stored of it where it is pulling; undefined where it is not. */
  readonly pulledBytes: number | undefined
  /** Whom it follows at the moment, if anybody. */
  readonly following: string | undefined
  readonly rivals: readonly Rival[]
  /** Whether all have said whether they are at it, or have had the time to. */
  readonly isSettled: boolean
  /** Since when nobody has been pulling whom it could follow, in milliseconds. */
  readonly idleSinceMs: number
  readonly nowMs: number
}

/** What to do next. */
export type PullMove =
  /** To pull, or to go on with it. */
  | { readonly do: 'pull' }
  /** To take what another pulls, or has pulled. */
  | { readonly do: 'follow'; readonly peer: string }
  /** Another pulls as well and has the better right. */
  | { readonly do: 'yield'; readonly peer: string }
  /** To wait for news, for no longer than this; without end where it is left out. */
  | { readonly do: 'wait'; readonly ms?: number }

/**
 * Who pulls a path of those who want it. A pure function of its argument:
 *
 * 1. who has it whole is asked for it;
 * 2. who pulls is followed, the same one as before if there are several; of two that pull, the one
 *    that has come far goes on, and both where both have; else the one with more weight;
 * 3. where nobody pulls, all have an order by their weight: the first begins at once, and each of
 *    the others when those before it have had their time. So one takes over where one dies.
 */
export function whoPulls(scene: PullScene): PullMove {
  const { self, pulledBytes, following, rivals } = scene
  const heard = rivals.filter(({ isSpent }) => !isSpent)
  const complete = firstOf(heard.filter(({ phase }) => phase === 'complete'))
  if (complete !== undefined && pulledBytes === undefined) return follow(complete)
  const pulling = heard.filter(({ phase }) => phase === 'pulling')
  const best = firstOf(pulling)
  if (pulledBytes !== undefined) {
    if (best === undefined || pulledBytes > YIELD_BYTES_MAX) return { do: 'pull' }
    const far = firstOf(pulling.filter(({ toldBytes }) => toldBytes > YIELD_BYTES_MAX))
    if (far !== undefined) return { do: 'yield', peer: far.id }
    return isBefore(self, best) ? { do: 'pull' } : { do: 'yield', peer: best.id }
  }
  const same = pulling.find(({ id }) => id === following)
  if (best !== undefined) return follow(same ?? best)
  if (!scene.isSettled) return { do: 'wait' }
  const before = heard.filter((it) => it.phase === 'waiting' && isBefore(it, self)).length
  const waitMs = scene.idleSinceMs + before * TURN_MS - scene.nowMs
  return waitMs <= 0 ? { do: 'pull' } : { do: 'wait', ms: waitMs }
}

function follow({ id }: Rival): PullMove {
  return { do: 'follow', peer: id }
}

function firstOf(rivals: readonly Rival[]): Rival | undefined {
  return rivals.reduce<Rival | undefined>(
    (first, it) => (first === undefined || isBefore(it, first) ? it : first),
    undefined,
  )
}

function isBefore(
  a: { readonly id: string; readonly weight: number },
  b: { readonly id: string; readonly weight: number },
): boolean {
  return a.weight === b.weight ? a.id < b.id : a.weight > b.weight
}
