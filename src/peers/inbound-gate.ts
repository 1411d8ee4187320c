import type { MultiaddrConnection } from '@libp2p/interface'
import { Allowance } from '../foundation/allowance.ts'
import type { Clock } from '../foundation/clock.ts'

/** How many connections of one host may be in the middle of their handshake. */
export const PENDING_PER_HOST_MAX = 32

/** How many connections of all hosts together may be in the middle of their handshake. */
export const PENDING_MAX = 256

/** How long a handshake may take that somebody else has begun. */
export const HANDSHAKE_MS = 5_000

/** How many handshakes with banned peers one host may have after a quiet time. */
export const BANNED_BURST_MAX = 32

/** How many handshakes with banned peers one host may have a second from then on. */
export const BANNED_PER_SECOND_MAX = 1

/** How many hosts from which banned peers come are remembered. */
export const BANNED_HOSTS_MAX = 4_096

/**
 * Keeps one host from taking all the room for handshakes with connections on which it says nothing:
 * the others could not get in any more. And keeps banned peers from costing a handshake, some
 * milliseconds of processor time, each time that they dial anew: a host from which they keep coming
 * is let in seldom, whoever else is there.
 */
export class InboundGate {
  readonly #clock: Clock
  readonly #pending = new Map<string, Set<unknown>>()
  readonly #banned = new Map<string, Allowance>()
  readonly #perHostMax: number

  constructor(components: { clock: Clock }, init: { perHostMax?: number } = {}) {
    this.#clock = components.clock
    this.#perHostMax = init.perHostMax ?? PENDING_PER_HOST_MAX
  }

  /** Whether to turn down a connection that has just come in; else it counts as pending. */
  denies(connection: Pick<MultiaddrConnection, 'remoteAddr' | 'addEventListener'>): boolean {
    const host = hostOf(connection)
    if (this.#banned.get(host)?.isSpent() === true) return true
    const pending = this.#pending.get(host) ?? new Set()
    if (pending.size >= this.#perHostMax) return true
    this.#pending.set(host, pending.add(connection))
    connection.addEventListener('close', () => this.#settle(host, connection))
    return false
  }

  /** The handshake is over. */
  admitted(connection: Pick<MultiaddrConnection, 'remoteAddr'>): void {
    this.#settle(hostOf(connection), connection)
  }

  /** It turned out to be a banned peer. */
  turnedAway(connection: Pick<MultiaddrConnection, 'remoteAddr'>): void {
    const host = hostOf(connection)
    const init = { burst: BANNED_BURST_MAX, perSecond: BANNED_PER_SECOND_MAX }
    const allowance = this.#banned.get(host) ?? new Allowance({ clock: this.#clock }, init)
    allowance.take()
    this.#banned.delete(host) // to the end: the one that was quiet for longest is forgotten first
    this.#banned.set(host, allowance)
    if (this.#banned.size <= BANNED_HOSTS_MAX) return
    const oldest = this.#banned.keys().next().value
    if (oldest !== undefined) this.#banned.delete(oldest)
  }

  #settle(host: string, connection: unknown): void {
    const pending = this.#pending.get(host)
    if (pending === undefined) return
    pending.delete(connection)
    if (pending.size === 0) this.#pending.delete(host)
  }
}

function hostOf({ remoteAddr }: Pick<MultiaddrConnection, 'remoteAddr'>): string {
  const ip = remoteAddr.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')
  return ip?.value ?? remoteAddr.toString()
}
