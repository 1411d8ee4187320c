import type { MultiaddrConnection } from '@libp2p/interface'

/** How many connections of one host may be in the middle of their handshake. */
export const PENDING_PER_HOST_MAX = 32

/** How many connections of all hosts together may be in the middle of their handshake. */
export const PENDING_MAX = 256

/** How long a handshake may take that somebody else has begun. */
export const HANDSHAKE_MS = 5_000

/**
 * Keeps one host from taking all the room for handshakes with connections on which it says nothing:
 * the others could not get in any more.
 */
export class InboundGate {
  readonly #pending = new Map<string, Set<unknown>>()
  readonly #perHostMax: number

  constructor(_components: object = {}, init: { perHostMax?: number } = {}) {
    this.#perHostMax = init.perHostMax ?? PENDING_PER_HOST_MAX
  }

  /** Whether to turn down a connection that has just come in; else it counts as pending. */
  denies(connection: Pick<MultiaddrConnection, 'remoteAddr' | 'addEventListener'>): boolean {
    const host = hostOf(connection)
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
