import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { RateLimit } from '../../foundation/rate-limit.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { SingleFlight } from '../../foundation/single-flight.ts'
import { PeerError } from '../peer-error.ts'
import type { PeerNetwork } from '../peer-network.ts'
import { CONSEQUENCES, misdeedOf } from '../standing/misdeed.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import { type Ask, ExchangeSession, SMALL_ANSWER_BYTES } from './exchange-session.ts'

/** How many bytes of large answers may be on their way from all peers together. */
export const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024

/**
 * Who has brought nothing for so long, in milliseconds, when a fetch does not get on or another had
 * to step in, is one of those that kept it waiting. Whoever brings anything does not, however slow.
 */
export const DELAY_MS_MIN = 750

/** What a channel is for. News has one of its own, so as not to wait behind content. */
type Purpose = (typeof PURPOSES)[number]
const PURPOSES = ['answers', 'news'] as const

/**
 * Asks peers, over long-lived channels: one to each for all that is answered and done with, and one
 * for what lasts. Every fault is told to the ledger; a peer that lied is disconnected.
 */
export class ExchangeClient {
  readonly #network: PeerNetwork
  readonly #ledger: PeerLedger
  readonly #clock: Clock
  readonly #log: Log
  readonly #stallMs: number | undefined
  readonly #downloads: RateLimit | undefined
  readonly #inFlight = new Semaphore(IN_FLIGHT_BYTES_MAX)
  /** By what they are for and the peer's id. */
  readonly #sessions = new Map<string, ExchangeSession>()
  readonly #opening = new SingleFlight<ExchangeSession>()

  constructor(
    components: { network: PeerNetwork; ledger: PeerLedger; clock: Clock; log: Log },
    init: { stallMs?: number; downloads?: RateLimit | undefined } = {},
  ) {
    this.#network = components.network
    this.#ledger = components.ledger
    this.#clock = components.clock
    this.#log = components.log
    this.#stallMs = init.stallMs
    this.#downloads = init.downloads
  }

  /** Makes a request of a peer; resolves when it is answered whole. @throws PeerError and others */
  async ask(peer: string, ask: Ask, call: Call): Promise<void> {
    const purpose = ask.lasts === true ? 'news' : 'answers'
    try {
      const isSmall = ask.bytes <= SMALL_ANSWER_BYTES
      using _room = isSmall ? undefined : await this.#inFlight.acquire(ask.bytes, call)
      if (!isSmall) await this.#downloads?.pass(ask.bytes, call)
      const session = await this.#session(peer, purpose, call)
      await session.request(ask, call)
      this.#ledger.commend(peer)
    } catch (error) {
      const isOfNote = ask.isOptional !== true || isBreach(error)
      if (!call.signal.aborted && isOfNote) this.#report(peer, error, [purpose])
      throw error
    }
  }

  /**
   * A fetch does not get on: tells the ledger where it is this peer that it waits for. Says whether
   * the peer is busy with bringing something else.
   */
  noteDelay(peer: string): boolean {
    const waitedMs = this.#sessions.get(keyOf('answers', peer))?.waitedMs
    if (waitedMs === undefined) return false
    if (waitedMs < DELAY_MS_MIN) return true
    this.#log.debug('peer keeps a fetch waiting', { peer, waitedMs })
    this.#ledger.delayed(peer)
    return false
  }

  /** Tells the ledger what an error says of a peer, and acts on it. */
  reportError(peer: string, error: unknown): void {
    this.#report(peer, error, PURPOSES)
  }

  #report(peer: string, error: unknown, purposes: readonly Purpose[]): void {
    if (!(error instanceof PeerError)) return
    const misdeed = misdeedOf(error.fault)
    if (misdeed === undefined) return
    this.#log.info('peer failed', { peer, misdeed, fault: error.fault.code })
    this.#ledger.report(peer, misdeed, error.message)
    const { dropsChannel, bans } = CONSEQUENCES[misdeed]
    if (dropsChannel) this.#drop(peer, purposes)
    if (!bans) return
    this.#network.disconnect(peer).catch((cause) => {
      this.#log.debug('disconnect failed', { peer, error: cause })
    })
  }

  /** Ends all channels. */
  close(): void {
    for (const { peer } of [...this.#sessions.values()]) this.#drop(peer, PURPOSES)
  }

  async #session(peer: string, purpose: Purpose, call: Call): Promise<ExchangeSession> {
    const key = keyOf(purpose, peer)
    const known = this.#sessions.get(key)
    if (known !== undefined && !known.isOver) return known
    return await this.#opening.run(key, (shared) => this.#open(peer, key, shared), call)
  }

  async #open(peer: string, key: string, call: Call): Promise<ExchangeSession> {
    const channel = await this.#network.openChannel(peer, call)
    const init = this.#stallMs === undefined ? {} : { stallMs: this.#stallMs }
    const session = new ExchangeSession({ peer, channel, clock: this.#clock }, init)
    this.#sessions.set(key, session)
    session.ended.then(() => {
      if (this.#sessions.get(key) === session) this.#sessions.delete(key)
    })
    return session
  }

  #drop(peer: string, purposes: readonly Purpose[]): void {
    for (const purpose of purposes) {
      const key = keyOf(purpose, peer)
      const session = this.#sessions.get(key)
      this.#sessions.delete(key)
      session?.close()
    }
  }
}

function keyOf(purpose: Purpose, peer: string): string {
  return `${purpose} ${peer}`
}

function isBreach(error: unknown): boolean {
  return error instanceof PeerError && misdeedOf(error.fault) === 'lied'
}
