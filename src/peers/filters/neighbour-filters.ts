import { randomBytes } from 'node:crypto'
import { Allowance } from '../../foundation/allowance.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { Service } from '../../foundation/service.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { peerError } from '../peer-error.ts'
import type { PeerNetwork } from '../peer-network.ts'
import { FilterCopy, FilterError } from './filter-copy.ts'
import { FILTER_SILENCE_MS, type FilterNews } from './filter-news.ts'
import { FILTER_KEY_BYTES, PathHasher } from './sip-hash.ts'

/** How many bytes the filters of all neighbours take together; who has no room is just asked. */
export const FILTERS_BYTES_MAX = 64 * 1024 * 1024

/** Of how many neighbours filters are kept; the others are just asked. */
export const FILTERS_MAX = 256

/** How often one neighbour may say something in one burst: snapshots come in parts. */
export const NEWS_BURST = 512

/** How often one neighbour may say something in a second from then on. */
export const NEWS_PER_SECOND = 64

/** How long it takes until a neighbour that has no filter is asked again; doubles each time. */
export const RETRY_MS = 2_000

/** How long that becomes at the most: earlier versions know no filters. */
export const RETRY_MS_MAX = 3_600_000

/** What it works with. */
export interface NeighbourFiltersComponents {
  readonly client: Pick<ExchangeClient, 'ask'>
  readonly network: Pick<PeerNetwork, 'connected' | 'onConnect'>
  readonly clock: Clock
  readonly log: Log
}

interface Watched {
  copy: FilterCopy | undefined
  /** When something came that may have been asked for in vain before. */
  changedMs: number
  /** Ends a wait: it has connected anew. */
  wake: () => void
}

/**
 * What connected neighbours share, by filters that they keep up to date here: who is known not to
 * have a path need not be asked for it. Whoever has no filter is asked.
 */
export class NeighbourFilters implements Service {
  readonly name = 'neighbour filters'
  readonly #components: NeighbourFiltersComponents
  readonly #watched = new Map<string, Watched>()
  readonly #watching = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(components: NeighbourFiltersComponents) {
    this.#components = components
    components.network.onConnect((peer) => this.#meet(peer))
  }

  async start(): Promise<void> {
    for (const { id } of this.#components.network.connected()) this.#meet(id)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await Promise.all(this.#watching)
  }

  /** How many bytes the filters take. */
  get bytes(): number {
    return [...this.#watched.values()].reduce((sum, { copy }) => sum + (copy?.bytes ?? 0), 0)
  }

  /** Whether a neighbour's filter is here. */
  has(peer: string): boolean {
    return this.#watched.get(peer)?.copy?.isWhole === true
  }

  /** Whether a neighbour may have a path; true where there is no filter that says no. */
  mayHave(peer: string, hash: Uint8Array): boolean {
    return this.#watched.get(peer)?.copy?.mayHave(hash) ?? true
  }

  /** Whether a neighbour has said since a moment, in ms, what may mean that it has a path now. */
  hasNews(hash: Uint8Array, sinceMs: number): boolean {
    for (const { copy, changedMs } of this.#watched.values()) {
      if (copy?.isWhole === true && changedMs >= sinceMs && copy.mayHave(hash)) return true
    }
    return false
  }

  #meet(peer: string): void {
    const known = this.#watched.get(peer)
    known?.wake()
    if (known !== undefined) return
    if (this.#watched.size >= FILTERS_MAX || this.#stopping.signal.aborted) return
    const watched = { copy: undefined, changedMs: 0, wake: () => undefined }
    this.#watched.set(peer, watched)
    const watching = this.#watch(peer, watched).finally(() => {
      this.#watched.delete(peer)
      this.#watching.delete(watching)
    })
    this.#watching.add(watching)
  }

  /** Asks for a neighbour's filter as long as it is connected. Throws nothing. */
  async #watch(peer: string, watched: Watched): Promise<void> {
    const { network, clock, log } = this.#components
    const call = { signal: this.#stopping.signal }
    let waitMs = RETRY_MS
    while (!call.signal.aborted && network.connected().some(({ id }) => id === peer)) {
      try {
        await this.#ask(peer, watched, call)
      } catch (error) {
        if (!call.signal.aborted) log.debug('a filter ended', { peer, error })
        // Who says more than is taken would do so again; it is asked when it connects anew.
        if (error instanceof FilterError) waitMs = RETRY_MS_MAX
        else if (watched.copy?.isWhole === true) waitMs = RETRY_MS
      }
      watched.copy = undefined
      const woken = new AbortController()
      watched.wake = () => {
        waitMs = RETRY_MS
        woken.abort()
      }
      await clock.sleep(waitMs, narrowedCall(call, woken.signal)).catch(() => undefined)
      watched.wake = () => undefined
      waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)
    }
  }

  async #ask(peer: string, watched: Watched, call: Call): Promise<void> {
    const { client, clock } = this.#components
    const key = randomBytes(FILTER_KEY_BYTES)
    const room = (bytes: number): boolean => this.bytes + bytes <= FILTERS_BYTES_MAX
    const copy = new FilterCopy({ hasher: new PathHasher(key), room })
    const rate = { burst: NEWS_BURST, perSecond: NEWS_PER_SECOND }
    const allowance = new Allowance({ clock }, rate)
    watched.copy = copy
    const onAnswer = (answer: AnswerItem): void => {
      if (answer.type === 'absent') return
      if (answer.type !== 'filter') {
        const what = `${answer.type} instead of a filter`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      if (!allowance.take()) throw flood()
      if (taken(copy, peer, answer.news)) watched.changedMs = clock.now()
    }
    const want = { type: 'filter', key } as const
    const patience = { lasts: true, silenceMs: FILTER_SILENCE_MS, isOptional: true }
    await client.ask(peer, { want, bytes: 0, ...patience, onAnswer }, call)
  }
}

/** Takes in what a peer says. @throws PeerError where it is nonsense, FilterError */
function taken(copy: FilterCopy, peer: string, news: FilterNews): boolean {
  try {
    return copy.take(news)
  } catch (error) {
    if (!(error instanceof FilterError) || error.flaw.code !== 'nonsense') throw error
    throw peerError({ code: 'protocol-broken', peer, what: error.flaw.what }, error)
  }
}

function flood(): FilterError {
  return new FilterError({ code: 'too-much', what: 'more news than is taken' })
}
