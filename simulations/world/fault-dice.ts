import { seededRandom } from '../../src/foundation/random.ts'

/** What can go wrong on a disk, or take longer. */
export const FAULT_KINDS = [
  'open',
  'read',
  'write',
  'short-write',
  'no-space',
  'truncate',
  'sync',
  'names',
  'remove',
  'slow',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

/** How many of a thousand operations each fault strikes; those that are not named strike none. */
export type FaultRates = Readonly<Partial<Record<FaultKind, number>>>

/**
 * Decides by a seed which operations a fault strikes: for each kind by numbers of its own, so that
 * the n-th write fares as the seed says, however many reads there were before it.
 */
export class FaultDice {
  readonly #rates: FaultRates
  readonly #random: Readonly<Record<FaultKind, ReturnType<typeof seededRandom>>>
  isOn = true

  constructor(init: { readonly seed: number; readonly rates: FaultRates }) {
    this.#rates = init.rates
    const sources = FAULT_KINDS.map((kind, i) => [kind, seededRandom(init.seed * 31 + i)])
    this.#random = Object.fromEntries(sources)
  }

  /** Whether this kind of fault strikes the operation that asks. */
  strikes(kind: FaultKind): boolean {
    const number = this.#random[kind].integer(1000)
    return this.isOn && number < (this.#rates[kind] ?? 0)
  }

  /** A number for how it strikes, 0 ≤ n < `below`. */
  integer(kind: FaultKind, below: number): number {
    return this.#random[kind].integer(below)
  }
}
