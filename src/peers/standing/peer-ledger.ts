import type { Clock } from '../../foundation/clock.ts'
import type { Misdeed } from './misdeed.ts'

/** Whether a peer is asked: gladly, not for a while, or never again. */
export type Standing = 'welcome' | 'idle' | 'banned'

/** For how long a peer that stalled is left alone at first; doubles with each further time. */
export const STALLED_IDLE_MS = 15_000

/** For how long a peer that failed otherwise is left alone at first; doubles as well. */
export const FAILED_IDLE_MS = 2_000

/** No peer is left alone for longer than this. */
export const IDLE_MS_MAX = 10 * 60_000

/** Who stalled or failed and then behaves for so long has its earlier offences forgotten. */
export const FORGIVEN_AFTER_MS = 10 * 60_000

/** How many peers are remembered; those that lied are forgotten last. */
export const PEERS_MAX = 16_384

interface Entry {
  readonly offences: number
  readonly lastOffence: number
  readonly idleUntil: number
  readonly banned: boolean
  readonly reason: string
}

/**
 * Remembers how peers behaved, for the life of the process: one wrong byte bans for good, silence
 * and failure idle a peer, longer each time, until it has delivered for a while.
 */
export class PeerLedger {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  report(peer: string, misdeed: Misdeed, reason: string): void {
    const known = this.#entries.get(peer)
    if (known?.banned === true) return
    const offences = (known?.offences ?? 0) + 1
    const base = misdeed === 'stalled' ? STALLED_IDLE_MS : FAILED_IDLE_MS
    const idleMs = Math.min(base * 2 ** Math.min(offences - 1, 16), IDLE_MS_MAX)
    const lastOffence = this.#clock.now()
    const idleUntil = Math.max(known?.idleUntil ?? 0, lastOffence + idleMs)
    const banned = misdeed === 'lied'
    this.#entries.set(peer, { offences, lastOffence, idleUntil, banned, reason })
    if (this.#entries.size > PEERS_MAX) this.#forgetOne()
  }

  /**
   * It delivered what it was asked for, and is welcome again. Earlier silence counts on for a
   * while: who delivers a little between two stalls is left alone for longer each time. Lies are
   * not forgiven.
   */
  commend(peer: string): void {
    const known = this.#entries.get(peer)
    if (known === undefined || known.banned) return
    const now = this.#clock.now()
    if (now - known.lastOffence >= FORGIVEN_AFTER_MS) this.#entries.delete(peer)
    else if (known.idleUntil > now) this.#entries.set(peer, { ...known, idleUntil: now })
  }

  standing(peer: string): Standing {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return 'welcome'
    if (entry.banned) return 'banned'
    return entry.idleUntil > this.#clock.now() ? 'idle' : 'welcome'
  }

  /** Why a peer is not welcome, in words. */
  reason(peer: string): string | undefined {
    return this.standing(peer) === 'welcome' ? undefined : this.#entries.get(peer)?.reason
  }

  /** Ids cost nothing to make, so that in the end even the oldest ban has to go. */
  #forgetOne(): void {
    const entries = [...this.#entries]
    const [peer] = entries.find(([, entry]) => !entry.banned) ?? entries[0]!
    this.#entries.delete(peer)
  }
}
