import type { Castore } from '../castore/castore.ts'
import type { Node } from '../castore/model/node.ts'
import { Allowance } from '../foundation/allowance.ts'
import type { Call } from '../foundation/call.ts'
import { deadline } from '../foundation/clock.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { claimIdentity, contentIdentity } from '../pathinfo/root-fingerprint.ts'
import type { FetchProgress } from '../substitution/fetch-progress.ts'
import type {
  ContentOffer,
  Offer,
  OfferFetchInit,
  OfferFlaw,
  PathSource,
  RootListener,
  RootOffer,
} from '../substitution/path-source.ts'
import type { NeighbourFilters } from './filters/neighbour-filters.ts'
import { searchHolders } from './holder-search.ts'
import type { PathAsker } from './path-asker.ts'
import { peerError } from './peer-error.ts'
import type { PeerNetwork } from './peer-network.ts'
import { RootSearch } from './root-search.ts'
import type { Router } from './routing/router.ts'
import { pathKey } from './routing/routing-key.ts'
import { fetchContent, SPREAD_BYTES_MIN } from './swarm/content-fetch.ts'
import type { ContentFetchComponents } from './swarm/content-fetch-components.ts'
import { HolderSet } from './swarm/holder-set.ts'
import type { Swarms } from './swarm/swarms.ts'

/** How long neighbours may take to say whether they have a path. */
export const NEIGHBOURS_MS = 1_000

/** How long the DHT is searched for a path that no neighbour has, dials included. */
export const DHT_MS = 2_000

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

/** How many peers that say they have a path are enough, once nobody waits for another one. */
export const HOLDERS_ENOUGH = 8

/** Neighbours are asked before any cache: what they have costs nobody's uplink. */
export const PEERS_PRIORITY = 0

/** How long looking for a path takes at the most, in milliseconds. */
export const FIND_MS_MAX = NEIGHBOURS_MS + DHT_MS + 1_000

/** What the source works with. */
export interface PeerSourceComponents extends ContentFetchComponents {
  readonly network: PeerNetwork
  readonly router: Router
  readonly asker: PathAsker
  /** The id of this node. */
  readonly self: string
  /** Where fetches are known to others while they go on. */
  readonly swarms: Swarms
  /** Which neighbours need not be asked; all are where it is left out. */
  readonly filters?: Pick<NeighbourFilters, 'has' | 'mayHave' | 'hasNews'>
}

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
  readonly #components: PeerSourceComponents
  readonly #searches: Allowance
  readonly #roots: RootSearch

  constructor(components: PeerSourceComponents) {
    this.#components = components
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
    const inquiry = new Inquiry(this.#components, hash)
    const neighbours = inquiry.neighbours()
    if (neighbours.length > 0) yield* inquiry.offersOf(inquiry.askAll(neighbours), call)
    if (this.#isAmongNeighbours() || !this.#searches.take()) return
    yield* inquiry.offersOf(inquiry.askFurther(), call)
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
    return this.#components.filters?.hasNews(hash, sinceMs) === true
  }

  /** Whether all DHT servers that are known are neighbours that have told what they share. */
  #isAmongNeighbours(): boolean {
    const { router, filters, network } = this.#components
    if (filters === undefined || router.servers === undefined || router.reach === 0) return false
    if (router.reach > network.connected().length) return false
    for (const server of router.servers) if (!filters.has(server)) return false
    return true
  }
}

/** One question to everybody: claims by what they say, with who makes each. */
class Inquiry {
  readonly #components: PeerSourceComponents
  readonly #hash: Uint8Array
  /** Whoever says the same of the content can take part in fetching it. */
  readonly #holders = new Map<string, HolderSet>()
  /** Only who also bears the same signatures makes the same claim, and answers for it. */
  readonly #claims = new Map<string, PeerOffer>()
  readonly #offers: Offer[] = []
  #wake: () => void = () => undefined
  #holdersFound = 0
  /** Whoever asked has gone, and waits for no more offers. */
  #isLeft = false

  constructor(components: PeerSourceComponents, hash: Uint8Array) {
    this.#components = components
    this.#hash = hash
  }

  /**
   * Offers as they come in while `asking` goes on. Whoever takes only the first leaves the asking
   * to go on by itself: late answers still join the holders of their claim.
   */
  async *offersOf(asking: Promise<void>, call: Call): AsyncGenerator<Offer> {
    let isOver = false
    this.#isLeft = false
    const over = asking.finally(() => {
      isOver = true
      this.#wake()
    })
    over.catch(() => undefined) // thrown below, to whoever is still listening
    try {
      for (;;) {
        call.signal.throwIfAborted()
        const offer = this.#offers.shift()
        if (offer !== undefined) {
          yield offer
          continue
        }
        if (isOver) return await over
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        call.signal.addEventListener('abort', () => resolve(), { once: true })
        await promise
      }
    } finally {
      this.#isLeft = true
    }
  }

  /** Who may have the path and can be asked. */
  neighbours(): string[] {
    const { network, ledger, filters } = this.#components
    const ids = network.connected().map(({ id }) => id)
    const isWelcome = (id: string): boolean => ledger.standing(id) === 'welcome'
    return ids.filter((id) => isWelcome(id) && filters?.mayHave(id, this.#hash) !== false)
  }

  async askAll(peers: readonly string[]): Promise<void> {
    const limit = deadline(this.#components.clock, NEIGHBOURS_MS, 'asking the neighbours')
    await Promise.all(peers.map((id) => this.#askOne(id, limit)))
    limit.clear()
  }

  async askFurther(): Promise<void> {
    const limit = deadline(this.#components.clock, DHT_MS, 'searching the DHT')
    const isEnough = (): boolean => this.#isLeft && this.#holdersFound >= HOLDERS_ENOUGH
    const ask = (peer: string): Promise<void> => this.#askOne(peer, limit)
    const search = { key: pathKey(this.#hash), ask, isEnough }
    await searchHolders(this.#components, search, limit)
    limit.clear()
  }

  async #askOne(peer: string, call: Call): Promise<void> {
    try {
      const pathInfo = await this.#components.asker.ask(peer, this.#hash, call)
      if (pathInfo !== undefined) this.#take(peer, pathInfo)
    } catch (error) {
      this.#components.log.debug('peer could not say', { peer, error })
    }
  }

  #take(peer: string, pathInfo: PathInfo): void {
    this.#holdersFound++
    const content = contentIdentity(pathInfo)
    const holders = this.#holders.get(content) ?? new HolderSet()
    this.#holders.set(content, holders)
    holders.add(peer)
    const identity = claimIdentity(pathInfo)
    const known = this.#claims.get(identity)
    known?.claimants.add(peer)
    if (known !== undefined && !known.hasFailed) return
    // Where all former holders have failed, someone new is worth another try.
    const offer = new PeerOffer(this.#components, pathInfo, { holders, claimant: peer })
    this.#claims.set(identity, offer)
    this.#offers.push(offer)
    this.#wake()
  }
}

/** A claim that one or more peers make alike. */
class PeerOffer implements ContentOffer {
  readonly kind = 'content'
  readonly claim: ContentOffer['claim']
  /** Who makes the claim, signatures and all. */
  readonly claimants: Set<string>
  readonly #components: PeerSourceComponents
  readonly #holders: HolderSet
  #hasFailed = false

  constructor(
    components: PeerSourceComponents,
    pathInfo: PathInfo,
    init: { holders: HolderSet; claimant: string },
  ) {
    this.#components = components
    this.#holders = init.holders
    this.claimants = new Set([init.claimant])
    this.claim = { pathInfo, origin: 'stranger' }
  }

  /** Whether a fetch from its holders has failed. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Nobody is left of its holders who is prompt: silent ones cost seconds each. */
  get isDoubtful(): boolean {
    const { ledger } = this.#components
    for (const peer of this.#holders) if (ledger.isPrompt(peer)) return false
    return true
  }

  async fetch(
    into: Castore,
    progress: FetchProgress,
    call: Call,
    { isSpread = false }: OfferFetchInit = {},
  ): Promise<void> {
    const { swarms, network, self } = this.#components
    const components = { ...this.#components, castore: into }
    const { pathInfo } = this.claim
    const isAlone = isSpread && pathInfo.narSize < SPREAD_BYTES_MIN
    try {
      using membership = isAlone ? undefined : swarms.join(pathInfo)
      const part = membership && { swarm: membership.swarm, self, network }
      await fetchContent(pathInfo.node, this.#holders, components, progress, call, { part })
      membership?.complete()
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
  }

  tooSlow(): void {
    for (const peer of this.#holders) this.#components.client.noteDelay(peer)
  }

  turnDown(flaw: OfferFlaw): void {
    const { ledger, client } = this.#components
    // Other people's paths are no offence. Nor is a false signature: whoever passed the path on to
    // this peer may have added it, to have honest holders banned.
    if (flaw === 'forged') for (const peer of this.claimants) ledger.misled(peer)
    if (flaw !== 'nar-mismatch') return
    for (const peer of this.claimants) {
      client.reportError(peer, peerError({ code: 'claim-false', peer }))
    }
  }
}

/** A root that one or more peers have, whosever it is. */
class PeerRootOffer implements RootOffer {
  readonly #components: PeerSourceComponents
  readonly #root: Node
  readonly #holders: HolderSet

  constructor(components: PeerSourceComponents, root: Node, holders: HolderSet) {
    this.#components = components
    this.#root = root
    this.#holders = holders
  }

  async fetch(into: Castore, { progress, onDirectories }: RootListener, call: Call): Promise<void> {
    const components = { ...this.#components, castore: into }
    await fetchContent(this.#root, this.#holders, components, progress, call, { onDirectories })
  }

  tooSlow(): void {
    for (const peer of this.#holders) this.#components.client.noteDelay(peer)
  }
}
