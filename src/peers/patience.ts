import type { Clock } from '../foundation/clock.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'
import type { NeighbourFilters } from './filters/neighbour-filters.ts'
import type { PeerNetwork } from './peer-network.ts'
import type { PeerLedger } from './standing/peer-ledger.ts'

/**
 * The longest wait for a neighbour's word on whether it has a path, in milliseconds. Whose filter
 * names the path most likely has it, and who has just connected has not had the time to show what
 * it usually takes: both are waited for so long, since what Nix is told to be missing it takes for
 * missing for an hour.
 */
export const NEIGHBOUR_MS_MAX = 1_000

/**
 * How long a neighbour is waited for whose filter names the path, and who has brought much before,
 * in milliseconds: its line may be full of what it sends, and what it has costs no cache's uplink.
 */
export const NEIGHBOUR_PROVEN_MS = 5_000

/** The shortest wait for one that answers as a rule, in milliseconds. */
export const NEIGHBOUR_MS_MIN = 200

/** How long one is waited for that has been here for a while and never answered, in ms. */
export const NEIGHBOUR_UNPROVEN_MS = 100

/** How long one that has connected is waited for as if its filter named the path, in ms. */
export const JUST_MET_MS = 1_000

/** How many times its usual time a neighbour may take. */
const PATIENCE_RATIO = 8

/** How many requests a peer that keeps silent is sent. */
const SILENT_QUESTIONS_MAX = 8

/** What of an answer's time goes into the usual time. */
const ANSWER_WEIGHT = 0.2

/** For how long it is remembered what a peer usually takes, in milliseconds, and of how many. */
const USUAL_KEPT_MS = 600_000
const PEERS_MAX = 4_096

/** What it looks at. */
export interface PatienceComponents {
  readonly clock: Clock
  readonly network: Pick<PeerNetwork, 'onConnect'>
  /** Which neighbours have told what they share; none has where it is left out. */
  readonly filters?: Pick<NeighbourFilters, 'has'>
  /** Who has brought much. */
  readonly ledger: Pick<PeerLedger, 'isProven'>
}

/** Questions to one peer that are not answered yet. */
interface Debt {
  questions: number
  /** Since when it owes an answer and has given none, in ms on the clock. */
  sinceMs: number
}

/** A request under way. */
export interface Awaited {
  /** The first answer to it has come. */
  answered(): void
  /** It is over, with or without an answer. */
  over(): void
}

/** How long each peer is worth waiting for, by what is known of it. */
export class Patience {
  readonly #components: PatienceComponents
  readonly #debts = new Map<string, Debt>()
  /** What peers usually take to answer, in milliseconds. */
  readonly #usual: ExpiringMap<number>
  /** Who has connected a moment ago. */
  readonly #justMet: ExpiringMap<true>

  constructor(components: PatienceComponents) {
    this.#components = components
    this.#usual = new ExpiringMap(components, { keptMs: USUAL_KEPT_MS, weightMax: PEERS_MAX })
    this.#justMet = new ExpiringMap(components, { keptMs: JUST_MET_MS, weightMax: PEERS_MAX })
    components.network.onConnect((peer) => this.#justMet.set(peer, true))
  }

  /** How long a peer is worth waiting for, in milliseconds. */
  ms(peer: string): number {
    const { filters, ledger } = this.#components
    if (filters?.has(peer) === true) {
      return ledger.isProven(peer) ? NEIGHBOUR_PROVEN_MS : NEIGHBOUR_MS_MAX
    }
    if (this.#justMet.get(peer) !== undefined) return NEIGHBOUR_MS_MAX
    const usualMs = this.#usual.get(peer)
    if (usualMs === undefined) return NEIGHBOUR_UNPROVEN_MS
    return Math.min(Math.max(PATIENCE_RATIO * usualMs, NEIGHBOUR_MS_MIN), NEIGHBOUR_MS_MAX)
  }

  /**
   * Whether a peer is worth another question: who keeps silent is asked a few more, in case that it
   * is only slow.
   */
  mayAsk(peer: string): boolean {
    return !this.isSilent(peer) || this.#debts.get(peer)!.questions < SILENT_QUESTIONS_MAX
  }

  /** Whether a peer owes an answer for longer than it is waited for. */
  isSilent(peer: string): boolean {
    const debt = this.#debts.get(peer)
    return debt !== undefined && this.#components.clock.now() - debt.sinceMs >= this.ms(peer)
  }

  /** A peer has been sent a request. */
  asked(peer: string): Awaited {
    const { clock } = this.#components
    const askedAtMs = clock.now()
    const debt = this.#debts.get(peer) ?? { questions: 0, sinceMs: askedAtMs }
    this.#debts.set(peer, debt)
    debt.questions++
    return {
      answered: () => {
        const nowMs = clock.now()
        debt.sinceMs = nowMs
        const tookMs = nowMs - askedAtMs
        const usualMs = this.#usual.get(peer) ?? tookMs
        this.#usual.set(peer, usualMs + ANSWER_WEIGHT * (tookMs - usualMs))
      },
      over: () => {
        if (--debt.questions === 0) this.#debts.delete(peer)
      },
    }
  }
}
