import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'

/** How often it looks whether someone has to be dialled. */
const LOOK_MS = 1_000

/** The wait after a first failed dial; it doubles with each further one. */
const RETRY_MS = 1_000

/** The longest wait between two dials. */
export const RETRY_MS_MAX = 60_000

/** A connection that is lost sooner than this counts as a failed dial: it was not wanted there. */
export const WANTED_MS = 10_000

/** After so many failures in a row a discovered peer is forgotten, until it is discovered again. */
export const FAILURES_MAX = 8

/** How many discovered peers are kept in mind. */
export const DISCOVERED_MAX = 1_024

/** Whom to dial: an address given by the user, or a peer whose addresses are known. */
export type DialTarget = { readonly address: string } | { readonly peer: string }

interface Acquaintance {
  readonly target: DialTarget
  /** The peer behind an address, once it has answered. */
  peer: string | undefined
  failures: number
  /** Not to be dialled before. */
  nextMs: number
  /** Since when it has been connected, by the last dial. */
  sinceMs: number
  dialling: boolean
}

/** What it needs of the host. */
export interface ReconnectorComponents {
  readonly clock: Clock
  readonly log: Log
  isConnected(peer: string): boolean
  /** Dials; says who answered. */
  dial(target: DialTarget, call: Call): Promise<string>
}

/**
 * Keeps connections with the addresses that the user gave, for ever, and with the peers that were
 * discovered, for as long as they answer now and then.
 */
export class Reconnector implements Service {
  readonly name = 'reconnector'
  readonly #components: ReconnectorComponents
  readonly #acquaintances = new Map<string, Acquaintance>()
  readonly #dials = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #looking: Promise<void> = Promise.resolve()

  constructor(components: ReconnectorComponents, init: { addresses: readonly string[] }) {
    this.#components = components
    for (const address of init.addresses) this.#add(address, { address })
  }

  /** A peer has been discovered: it is dialled soon, and again when the connection is lost. */
  meet(peer: string): void {
    const known = this.#acquaintances.get(peer)
    if (known !== undefined) {
      known.failures = 0
      return
    }
    if (this.#acquaintances.size < DISCOVERED_MAX) this.#dialIfDue(this.#add(peer, { peer }))
  }

  async start(): Promise<void> {
    this.#looking = this.#look()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#looking
    await Promise.all(this.#dials)
  }

  #add(key: string, target: DialTarget): Acquaintance {
    const peer = 'peer' in target ? target.peer : undefined
    const acquaintance = { target, peer, failures: 0, nextMs: 0, sinceMs: 0, dialling: false }
    this.#acquaintances.set(key, acquaintance)
    return acquaintance
  }

  async #look(): Promise<void> {
    const call = { signal: this.#stopping.signal }
    while (!call.signal.aborted) {
      for (const acquaintance of this.#acquaintances.values()) this.#dialIfDue(acquaintance)
      await this.#components.clock.sleep(LOOK_MS, call).catch(() => undefined) // stopping
    }
  }

  #dialIfDue(acquaintance: Acquaintance): void {
    const { clock, isConnected } = this.#components
    const { peer, dialling, nextMs, sinceMs } = acquaintance
    const nowMs = clock.now()
    if (dialling || this.#stopping.signal.aborted) return
    if (peer !== undefined && isConnected(peer)) {
      if (nowMs - sinceMs < WANTED_MS) return
      acquaintance.failures = 0
      acquaintance.nextMs = nowMs
      return
    }
    if (nextMs > nowMs) return
    acquaintance.dialling = true
    const dial = this.#dial(acquaintance).finally(() => {
      acquaintance.dialling = false
      this.#dials.delete(dial)
    })
    this.#dials.add(dial)
  }

  async #dial(acquaintance: Acquaintance): Promise<void> {
    const { clock, log, dial } = this.#components
    const { target } = acquaintance
    try {
      acquaintance.peer = await dial(target, { signal: this.#stopping.signal })
      acquaintance.sinceMs = clock.now()
      this.#wait(acquaintance)
    } catch (error) {
      this.#wait(acquaintance)
      log.debug('dial failed', { ...target, failures: acquaintance.failures, error })
      if ('peer' in target && acquaintance.failures >= FAILURES_MAX) {
        this.#acquaintances.delete(target.peer)
      }
    }
  }
  /** Sets the next dial: later with each one that failed, or led to nothing that lasted. */
  #wait(acquaintance: Acquaintance): void {
    const waitMs = Math.min(RETRY_MS * 2 ** acquaintance.failures++, RETRY_MS_MAX)
    acquaintance.nextMs = this.#components.clock.now() + waitMs
  }
}
