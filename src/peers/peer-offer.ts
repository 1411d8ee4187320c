import type { Castore } from '../castore/castore.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { FetchProgress } from '../substitution/fetch-progress.ts'
import type {
  ContentOffer,
  OfferFetchInit,
  OfferFlaw,
  RootListener,
  RootOffer,
} from '../substitution/path-source.ts'
import { peerError } from './peer-error.ts'
import type { PeerNetwork } from './peer-network.ts'
import { fetchContent, SPREAD_BYTES_MIN } from './swarm/content-fetch.ts'
import type { ContentFetchComponents } from './swarm/content-fetch-components.ts'
import type { HolderSet } from './swarm/holder-set.ts'
import type { Swarms } from './swarm/swarms.ts'

/** What an offer works with. */
export interface PeerOfferComponents extends ContentFetchComponents {
  readonly network: PeerNetwork
  /** The id of this node. */
  readonly self: string
  /** Where fetches are known to others while they go on. */
  readonly swarms: Swarms
}

/** A claim that one or more peers make alike. */
export class PeerOffer implements ContentOffer {
  readonly kind = 'content'
  readonly claim: ContentOffer['claim']
  /** Who makes the claim, signatures and all. */
  readonly claimants: Set<string>
  readonly #components: PeerOfferComponents
  readonly #holders: HolderSet
  #hasFailed = false

  constructor(
    components: PeerOfferComponents,
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

  tooSlow(): boolean {
    return noteDelays(this.#components, this.#holders)
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

/** Says whether some peer is busy with bringing something else. */
function noteDelays(
  { client }: Pick<PeerOfferComponents, 'client'>,
  peers: Iterable<string>,
): boolean {
  return [...peers].filter((peer) => client.noteDelay(peer)).length > 0
}

/** A root that one or more peers have, whosever it is. */
export class PeerRootOffer implements RootOffer {
  readonly #components: PeerOfferComponents
  readonly #root: Node
  readonly #holders: HolderSet

  constructor(components: PeerOfferComponents, root: Node, holders: HolderSet) {
    this.#components = components
    this.#root = root
    this.#holders = holders
  }

  async fetch(into: Castore, { progress, onDirectories }: RootListener, call: Call): Promise<void> {
    const components = { ...this.#components, castore: into }
    await fetchContent(this.#root, this.#holders, components, progress, call, { onDirectories })
  }

  tooSlow(): boolean {
    return noteDelays(this.#components, this.#holders)
  }
}
