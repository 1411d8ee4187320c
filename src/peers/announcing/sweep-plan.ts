import { PLACES } from './key-table.ts'

/** How often all that is held is announced anew; records are forgotten after 48 h. */
export const REPUBLISH_MS = 22 * 3_600_000

/** Into how many steps the key space is cut at the most, which are taken one after another. */
export const SWEEP_STEPS_MAX = 128

/** How many keys there are to a step at least, unless there is only one step. */
export const STEP_KEYS_MIN = 512

/** A way once through the key space, step by step. */
export interface Round {
  /** What is announced: only paths and their roots, or everything. */
  readonly what: 'roots' | 'all'
  /** Whether it goes as fast as may be, instead of being spread over {@link REPUBLISH_MS}. */
  readonly isHurried: boolean
  readonly startedMs: number
  /** How many steps have been taken, of how many. */
  readonly step: number
  readonly steps: number
}

/** The round to begin with: the paths and their roots first, whatever is announced. */
export function firstRound(nowMs: number): Round {
  return { what: 'roots', isHurried: true, startedMs: nowMs, step: 0, steps: 1 }
}

/** A round of so many keys: each step costs a lookup, so few keys make few steps. */
export function cutFor(round: Round, keys: number): Round {
  const steps = Math.min(Math.max(1, Math.floor(keys / STEP_KEYS_MIN)), SWEEP_STEPS_MAX)
  return { ...round, steps }
}

/** The round with one more step taken, or the one after it where that was its last. */
export function afterStep(round: Round, most: Round['what'], nowMs: number): Round {
  const step = round.step + 1
  if (step < round.steps) return { ...round, step }
  const isHurried = round.isHurried && round.what !== most
  return { what: most, isHurried, startedMs: nowMs, step: 0, steps: round.steps }
}

/** Milliseconds until the next step is due; the last one when the round's time has passed. */
export function stepDueMs(round: Round, republishMs: number, nowMs: number): number {
  if (round.isHurried) return 0
  return Math.max(0, round.startedMs + ((round.step + 1) / round.steps) * republishMs - nowMs)
}

/** The part of the key space that the next step goes through. */
export function placesOf(round: Round): { readonly from: number; readonly to: number } {
  const startOf = (step: number): number => Math.floor((step / round.steps) * PLACES)
  return { from: startOf(round.step), to: startOf(round.step + 1) }
}

/**
 * Whether so many more nodes are in reach than were told of everything that everything is to be
 * told again: half as many more, so that a network that comes up is told a few times only.
 */
export function isOutgrown(toldReach: number, reach: number): boolean {
  return toldReach > 0 && reach >= Math.ceil(1.5 * toldReach)
}
