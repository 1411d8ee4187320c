import type { Node } from '../castore/model/node.ts'
import { Allowance } from '../foundation/allowance.ts'
import type { Call } from '../foundation/call.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import type { Offer, PathSource, RootOffer } from '../substitution/path-source.ts'
import { DHT_MS, PathInquiry, type PathInquiryComponents } from './path-inquiry.ts'
import { NEIGHBOUR_PROVEN_MS } from './patience.ts'
import { PeerRootOffer } from './peer-offer.ts'
import { RootSearch } from './root-search.ts'
import { SearchWait } from './search-wait.ts'

/** How many searches of the DHT go on at once. */
export const SEARCHES_AT_ONCE = 4

/** For how long what a search has found is kept for who asks again, in milliseconds. */
export const FOUND_LATE_MS = 60_000

/** How many searches are kept that were not waited for. */
export const FOUND_LATE_MAX = 1_024

/**
 * Length of the shortest NAR for whose root the DHT is searched, in bytes: a shorter one comes from
 * its cache before the search is over.
 */
export const ROOT_SEARCHED_BYTES_MIN = 4 * 1024 * 1024

/** How many searches of the DHT may begin in one burst after a quiet time. */
export const SEARCHES_BURST = 256

/**
 * How many searches of the DHT begin in a second from then on. Each is a conversation with several
 * peers. Nix asks for thousands of paths that nobody has: the neighbours are asked for all of them,
 * far-away nodes for as many as do not make Nix wait.
 */
export const SEARCHES_PER_SECOND = 20

/** Neighbours are asked before any cache: what they have costs nobody's uplink. */
export const PEERS_PRIORITY = 0

/** How long looking for a path takes at the most, in milliseconds. */
export const FIND_MS_MAX = NEIGHBOUR_PROVEN_MS + DHT_MS + 1_000

/**
 * Paths from other nodes: connected neighbours are asked first, all at once, but for those whose
 * filter says that they do not have the path; the DHT is searched where none of them has it, or
 * what they have is no good to whoever asks. A DHT of nobody but neighbours is not searched.
 */
export class PeerSource implements PathSource {
  readonly name = 'peers'
  readonly priority = PEERS_PRIORITY
  readonly limitMs = FIND_MS_MAX
  readonly sharesPulls = true
  readonly #components: PathInquiryComponents
  readonly #searches: Allowance
  readonly #searching = new Semaphore(SEARCHES_AT_ONCE)
  readonly #wait: SearchWait
  /** Inquiries that took longer than anybody waited, by paths. */
  readonly #late: ExpiringMap<PathInquiry>
  readonly #roots: RootSearch

  constructor(components: PathInquiryComponents) {
    this.#components = components
    this.#wait = new SearchWait(components)
    const late = { keptMs: FOUND_LATE_MS, weightMax: FOUND_LATE_MAX }
    this.#late = new ExpiringMap(components, late)
    this.#roots = new RootSearch(components)
    const rate = { burst: SEARCHES_BURST, perSecond: SEARCHES_PER_SECOND }
    this.#searches = new Allowance(components, rate)
  }

  /** There are neighbours, none of them prompt. */
  get isDoubtful(): boolean {
    const { network, ledger } = this.#components
    const neighbours = network.connected()
    return neighbours.length > 0 && !neighbours.some(({ id }) => ledger.isPrompt(id))
  }

  async *find(hash: Uint8Array, call: Call): AsyncGenerator<Offer> {
    const { clock } = this.#components
    const key = keyOf(hash)
    const untilMs = clock.now() + this.#wait.ms
    const late = this.#late.get(key)
    const inquiry = new PathInquiry(this.#components, hash)
    const leftMs = (): number => Math.max(0, untilMs - clock.now())
    this.#late.delete(key) // it is read by one at a time
    try {
      if (late !== undefined) yield* late.late(0, call)
      yield* inquiry.near(call)
      if (late?.isOpen === true) {
        return yield* late.late(Math.min(late.waitMs, leftMs()), call)
      }
      if (this.#isAmongNeighbours() || !this.#searches.take()) return
      yield* this.#search(inquiry, leftMs(), call)
    } finally {
      const rest = [late, inquiry].find((it) => it?.isSpent === false)
      if (rest !== undefined) this.#late.set(key, rest)
    }
  }

  /** Searches the DHT. How long it is waited for next time depends on what comes of it. */
  async *#search(inquiry: PathInquiry, waitMs: number, call: Call): AsyncGenerator<Offer> {
    const before = inquiry.foundAtMs
    try {
      yield* inquiry.far(this.#searching, waitMs, call)
      if (inquiry.isSearching) this.#wait.wasInVain()
    } finally {
      if (inquiry.foundAtMs !== before) this.#wait.hasFound()
    }
  }

  /** Neighbours first; the DHT for what is long, where it can know more than they. */
  async findRoot(root: Node, narSize: number, call: Call): Promise<RootOffer | undefined> {
    let holders = await this.#roots.near(root, call)
    if (holders.size === 0) {
      const isWorthwhile = narSize >= ROOT_SEARCHED_BYTES_MIN && !this.#isAmongNeighbours()
      if (!isWorthwhile || !this.#searches.take()) return undefined
      holders = await this.#roots.far(root, call)
    }
    return holders.size === 0 ? undefined : new PeerRootOffer(this.#components, root, holders)
  }

  hasNews(hash: Uint8Array, sinceMs: number): boolean {
    if (this.#components.filters?.hasNews(hash, sinceMs) === true) return true
    const foundAtMs = this.#late.get(keyOf(hash))?.foundAtMs
    return foundAtMs !== undefined && foundAtMs >= sinceMs
  }

  isNamed(hash: Uint8Array): boolean {
    const { network, filters, ledger, patience } = this.#components
    return network.connected().some(({ id }) => {
      const isKnown = filters?.has(id) === true && filters.mayHave(id, hash)
      return isKnown && ledger.isProven(id) && !patience.isSilent(id)
    })
  }

  isSearching(hash: Uint8Array): boolean {
    return this.#late.get(keyOf(hash))?.isSpent === false
  }

  /**
   * Whether all DHT servers that are known are neighbours that have told what they share, or who
   * would not be asked: they keep silent, or are not welcome.
   */
  #isAmongNeighbours(): boolean {
    const { router, filters, network, patience, ledger } = this.#components
    if (filters === undefined || router.servers === undefined || router.reach === 0) return false
    if (router.reach > network.connected().length) return false
    for (const server of router.servers) {
      const isOut = patience.isSilent(server) || ledger.standing(server) !== 'welcome'
      if (!isOut && !filters.has(server)) return false
    }
    return true
  }
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}
