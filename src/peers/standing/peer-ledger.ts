import type { Clock } from '../../foundation/clock.ts'
import type { BanList } from './ban-list.ts'
import { CONSEQUENCES, type Misdeed } from './misdeed.ts'
import { Promptness } from './promptness.ts'

/** Whether a peer is asked: gladly, not for a while, or never again. */
export type Standing = 'welcome' | 'idle' | 'banned'

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

/** A peer that is not welcome. */
export interface Unwelcome {
  readonly peer: string
  readonly standing: Exclude<Standing, 'welcome'>
  /** Why, in words. */
  readonly reason: string
  /** When it last did so, in milliseconds since 1970. */
  readonly sinceMs: number
}

/**
 * Remembers how peers behaved: one wrong byte bans for good, silence and failure idle a peer,
 * longer each time, until it has delivered for a while. Bans outlive the process where there is
 * a list for them.
 */
export class PeerLedger {
  readonly #clock: Clock
  readonly #bans: BanList | undefined
  readonly #entries = new Map<string, Entry>()
  readonly #promptness: Promptness

  constructor(components: { clock: Clock; bans?: BanList }) {
    this.#clock = components.clock
    this.#promptness = new Promptness(components)
    this.#bans = components.bans
    for (const { peer, sinceMs, reason } of components.bans?.bans ?? []) {
      const entry = { offences: 1, lastOffence: sinceMs, idleUntil: 0, banned: true, reason }
      this.#entries.set(peer, entry)
    }
  }

  report(peer: string, misdeed: Misdeed, reason: string): void {
    const known = this.#entries.get(peer)
    if (known?.banned === true) return
    const offences = (known?.offences ?? 0) + 1
    const { bans: banned, idleMs: firstMs } = CONSEQUENCES[misdeed]
    const idleMs = Math.min(firstMs * 2 ** Math.min(offences - 1, 16), IDLE_MS_MAX)
    const lastOffence = this.#clock.now()
    const idleUntil = Math.max(known?.idleUntil ?? 0, lastOffence + idleMs)
    this.#entries.set(peer, { offences, lastOffence, idleUntil, banned, reason })
    if (banned) this.#bans?.add({ peer, sinceMs: lastOffence, reason })
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

  /** A fetch waited for it in vain. No offence: it changes nothing but {@link isPrompt}. */
  delayed(peer: string): void {
    this.#promptness.delayed(peer)
  }

  /** It made an offer that was no good, whoever may be to blame. No offence either. */
  misled(peer: string): void {
    this.#promptness.misled(peer)
  }

  /** It has brought so many bytes of content, which are right. */
  brought(peer: string, bytes: number): void {
    this.#promptness.brought(peer, bytes)
  }

  /** Whether a peer is welcome, and worth asking before others, caches above all. */
  isPrompt(peer: string): boolean {
    return this.standing(peer) === 'welcome' && this.#promptness.isPrompt(peer)
  }

  /** Whether a peer is welcome, has brought much, and wasted nobody's time of late. */
  isProven(peer: string): boolean {
    return this.standing(peer) === 'welcome' && this.#promptness.isProven(peer)
  }

  /** Why a peer is not welcome, in words. */
  reason(peer: string): string | undefined {
    return this.standing(peer) === 'welcome' ? undefined : this.#entries.get(peer)?.reason
  }

  /** Everybody who is not welcome just now. */
  unwelcome(): Unwelcome[] {
    return [...this.#entries].flatMap(([peer, { reason, lastOffence }]) => {
      const standing = this.standing(peer)
      return standing === 'welcome' ? [] : [{ peer, standing, reason, sinceMs: lastOffence }]
    })
  }

  /** Forgets all that a peer has done, lies included; says whether there was anything. */
  pardon(peer: string): boolean {
    this.#bans?.remove(peer)
    this.#promptness.forget(peer)
    return this.#entries.delete(peer)
  }

  /** Ids cost nothing to make, so that in the end even the oldest ban has to go. */
  #forgetOne(): void {
    const entries = [...this.#entries]
    const [peer] = entries.find(([, entry]) => !entry.banned) ?? entries[0]!
    this.#entries.delete(peer)
  }
}
