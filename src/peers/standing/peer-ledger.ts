import type { Clock } from '../../foundation/clock.ts'
import type { Misdeed } from './misdeed.ts'

/** Whether a peer is asked: gladly, not for a while, or never again. */
export type Standing = 'welcome' | 'idle' | 'banned'

/** For how long a peer that stalled is left alone at first; doubles with each further time. */
export const STALLED_IDLE_MS = 15_000

/** The same for a peer that failed otherwise. */
export const FAILED_IDLE_MS = 2_000

/** No peer is left alone for longer than this. */
export const IDLE_MS_MAX = 10 * 60_000

/** How many peers are remembered; those that lied are forgotten last. */
export const PEERS_MAX = 16_384

interface Entry {
  offences: number
  idleUntil: number
  readonly banned: boolean
  readonly reason: string
}

/**
 * Remembers how peers behaved, for the life of the process: one wrong byte bans for good, silence
 * and failure idle a peer, longer each time, until it delivers again.
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
    const idleUntil = Math.max(known?.idleUntil ?? 0, this.#clock.now() + idleMs)
    this.#entries.set(peer, { offences, idleUntil, banned: misdeed === 'lied', reason })
    if (this.#entries.size > PEERS_MAX) this.#forgetOne()
  }

  /** It delivered what it was asked for: earlier silence is forgiven, lies are not. */
  commend(peer: string): void {
    if (this.#entries.get(peer)?.banned === false) this.#entries.delete(peer)
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
