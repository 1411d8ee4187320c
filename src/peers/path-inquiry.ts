import type { Call } from '../foundation/call.ts'
import { deadline } from '../foundation/clock.ts'
import type { Semaphore } from '../foundation/semaphore.ts'
import { waitUpTo } from '../foundation/wait-up-to.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { claimIdentity, contentIdentity } from '../pathinfo/root-fingerprint.ts'
import type { Offer } from '../substitution/path-source.ts'
import type { NeighbourFilters } from './filters/neighbour-filters.ts'
import { searchHolders } from './holder-search.ts'
import type { PathAsker } from './path-asker.ts'
import type { Patience } from './patience.ts'
import { PeerOffer, type PeerOfferComponents } from './peer-offer.ts'
import type { Router } from './routing/router.ts'
import { pathKey } from './routing/routing-key.ts'
import { HolderSet } from './swarm/holder-set.ts'

/** How long the DHT is searched for a path that no neighbour has, in milliseconds with dials. */
export const DHT_MS = 4_000

/**
 * For how long a neighbour's answer counts that comes late, in milliseconds: on a line that is full
 * of what it sends it may take as long.
 */
export const LATE_ANSWER_MS = 15_000

/** How many peers that say they have a path are enough, once nobody waits for another one. */
export const HOLDERS_ENOUGH = 8

/** What an inquiry works with. */
export interface PathInquiryComponents extends PeerOfferComponents {
  readonly router: Router
  readonly asker: Pick<PathAsker, 'ask'>
  readonly patience: Pick<Patience, 'ms' | 'mayAsk' | 'isSilent'>
  /** Which neighbours need not be asked; all are where it is left out. */
  readonly filters?: Pick<NeighbourFilters, 'has' | 'mayHave' | 'hasNews'>
}

/** One question to everybody: claims by what they say, with who makes each. */
export class PathInquiry {
  readonly #components: PathInquiryComponents
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
  #foundAtMs: number | undefined
  /** The search of the DHT, once it has begun. */
  #search: Promise<void> | undefined
  /** How many who were asked have neither answered nor been given up, the DHT among them. */
  #asking = 0
  /** Neighbours among them. */
  readonly #owing = new Set<string>()
  #isSearching = false
  /** Resolves once all who are being asked have; there while somebody waits for that. */
  #over: PromiseWithResolvers<void> | undefined

  constructor(components: PathInquiryComponents, hash: Uint8Array) {
    this.#components = components
    this.#hash = hash
  }

  /** When somebody was found last who says that it has the path, in ms on the clock. */
  get foundAtMs(): number | undefined {
    return this.#foundAtMs
  }

  /** Whether somebody may still answer. */
  get isOpen(): boolean {
    return this.#asking > 0
  }

  /** Whether the DHT is still being searched. */
  get isSearching(): boolean {
    return this.#isSearching
  }

  /**
   * How long it is worth waiting for more, in milliseconds: not for neighbours who have kept silent
   * for longer than they are waited for.
   */
  get waitMs(): number {
    if (this.#isSearching) return Number.POSITIVE_INFINITY
    const { patience } = this.#components
    const prompt = [...this.#owing].filter((id) => !patience.isSilent(id))
    return Math.max(0, ...prompt.map((id) => patience.ms(id)))
  }

  /** Whether there is nothing to be had of it any more. */
  get isSpent(): boolean {
    return !this.isOpen && this.#offers.length === 0
  }

  /** What neighbours offer, those who take no longer than they usually do. */
  async *near(call: Call): AsyncGenerator<Offer> {
    const { patience } = this.#components
    const neighbours = this.#neighbours()
    if (neighbours.length === 0) return
    const prompt = neighbours.filter((id) => !patience.isSilent(id))
    const asking = this.#counted(this.#askAll(neighbours))
    if (prompt.length === 0) return
    const waitMs = Math.max(...prompt.map((id) => patience.ms(id)))
    yield* this.#offersOf(asking, waitMs, call)
  }

  /**
   * What those offer whom the DHT names, one inquiry after the other in `turns`. Ends when nothing
   * has come for `waitMs`, while the search goes on.
   */
  async *far(turns: Semaphore, waitMs: number, call: Call): AsyncGenerator<Offer> {
    this.#search ??= this.#counted(this.#askFurther(turns))
    yield* this.#offersOf(this.#search, waitMs, call)
  }

  /** What comes late, of whoever was asked. Ends when nothing has come for `waitMs`. */
  async *late(waitMs: number, call: Call): AsyncGenerator<Offer> {
    const over = this.isOpen ? this.#whenOver() : Promise.resolve()
    yield* this.#offersOf(over, waitMs, call)
  }

  async #counted(asking: Promise<void>): Promise<void> {
    this.#asking++
    try {
      await asking
    } finally {
      this.#asking--
      if (!this.isOpen) {
        this.#over?.resolve()
        this.#over = undefined
      }
    }
  }

  #whenOver(): Promise<void> {
    this.#over ??= Promise.withResolvers()
    return this.#over.promise
  }

  /**
   * Offers as they come in while `asking` goes on. Whoever takes only the first leaves the asking
   * to go on by itself: late answers still join the holders of their claim.
   */
  async *#offersOf(asking: Promise<void>, waitMs: number, call: Call): AsyncGenerator<Offer> {
    const { clock } = this.#components
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
        if (!(await waitUpTo(clock, waitMs, promise, call))) return
      }
    } finally {
      this.#isLeft = true
    }
  }

  /** Who may have the path and can be asked. */
  #neighbours(): string[] {
    const { network, ledger, filters, patience } = this.#components
    const ids = network.connected().map(({ id }) => id)
    const canAnswer = (id: string): boolean =>
      ledger.standing(id) === 'welcome' && patience.mayAsk(id)
    return ids.filter((id) => canAnswer(id) && filters?.mayHave(id, this.#hash) !== false)
  }

  async #askAll(peers: readonly string[]): Promise<void> {
    // Nobody waits for so long; but who asks again is told what a busy one has said meanwhile.
    const limit = deadline(this.#components.clock, LATE_ANSWER_MS, 'asking the neighbours')
    const asking = peers.map(async (id) => {
      this.#owing.add(id)
      await this.#askOne(id, limit)
      this.#owing.delete(id)
    })
    await Promise.all(asking)
    limit.clear()
  }

  async #askFurther(turns: Semaphore): Promise<void> {
    const { clock, log } = this.#components
    const limit = deadline(clock, DHT_MS, 'searching the DHT')
    const isEnough = (): boolean => this.#isLeft && this.#holdersFound >= HOLDERS_ENOUGH
    const ask = (peer: string): Promise<void> => this.#askOne(peer, limit)
    const search = { key: pathKey(this.#hash), ask, isEnough }
    this.#isSearching = true
    try {
      using _turn = await turns.acquire(1, limit)
      await searchHolders(this.#components, search, limit)
    } catch (error) {
      if (!limit.signal.aborted) throw error
      log.debug('no turn to search the DHT', { error })
    } finally {
      this.#isSearching = false
    }
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
    this.#foundAtMs = this.#components.clock.now()
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
