import { blobBytes } from '../castore/blob-store.ts'
import type { DirectoryNode, FileNode, Node } from '../castore/model/node.ts'
import { type Call, unhurriedCall } from '../foundation/call.ts'
import { type Clock, deadline, withDeadline } from '../foundation/clock.ts'
import { Digest } from '../foundation/digest.ts'
import type { Log } from '../foundation/log.ts'
import { type Random, shuffled } from '../foundation/random.ts'
import { waitUpTo } from '../foundation/wait-up-to.ts'
import type { ExchangeClient } from './exchange/exchange-client.ts'
import type { AnswerItem } from './exchange/exchange-session.ts'
import { searchHolders } from './holder-search.ts'
import { peerError } from './peer-error.ts'
import type { PeerNetwork } from './peer-network.ts'
import type { Router } from './routing/router.ts'
import { blobKey, directoryKey } from './routing/routing-key.ts'
import type { PeerLedger } from './standing/peer-ledger.ts'
import { HolderSet } from './swarm/holder-set.ts'
import { isPlausible } from './swarm/layout-fetch.ts'

/** How long neighbours are waited for to say that they have a root, in milliseconds. */
export const ROOT_NEIGHBOURS_MS = 250

/** How long the DHT is searched for a root that no neighbour has, in milliseconds. */
export const ROOT_DHT_MS = 500

/** How many neighbours are asked for one root. */
export const ROOT_NEIGHBOURS_MAX = 64

/** How long one may take to answer, in milliseconds: longer than a silent one is put up with. */
const ANSWER_MS = 5_000

/** About how many bytes an answer has, for the cap on what is in flight. */
const ANSWER_BYTES = 4096

/** A node that has a digest: a symlink is in no castore. */
type StoredNode = DirectoryNode | FileNode

/** What a search works with. */
export interface RootSearchComponents {
  readonly network: PeerNetwork
  readonly router: Pick<Router, 'holders'>
  readonly ledger: PeerLedger
  readonly client: Pick<ExchangeClient, 'ask'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/**
 * Looks for peers that have a root which a cache has named: whether they have its Directory, or
 * the file. Who says so may still lack what is below it.
 */
export class RootSearch {
  readonly #components: RootSearchComponents

  constructor(components: RootSearchComponents) {
    this.#components = components
  }

  /**
   * Asks the neighbours, all at once, and returns with the first of them that has the root; those
   * that answer later join it. Nobody where none has answered so in {@link ROOT_NEIGHBOURS_MS}.
   */
  async near(root: Node, call: Call): Promise<HolderSet> {
    const { network, ledger, clock, random } = this.#components
    const holders = new HolderSet()
    if (root.type === 'symlink') return holders
    const found = Promise.withResolvers<void>()
    const connected = shuffled(network.connected(), random).map(({ id }) => id)
    // Its cache has the path for sure: who kept others waiting of late is not waited for.
    const prompt = connected.filter((id) => ledger.isPrompt(id))
    const asked = prompt.slice(0, ROOT_NEIGHBOURS_MAX).map(async (peer) => {
      // Not ended with the question: who stays silent is to be known as silent.
      if (!(await this.#asked(peer, root, unhurriedCall()))) return
      holders.add(peer)
      found.resolve()
    })
    const answered = Promise.race([found.promise, Promise.all(asked)])
    await waitUpTo(clock, ROOT_NEIGHBOURS_MS, answered, call)
    return holders
  }

  /** Searches the DHT, and asks those that it names until one has the root. */
  async far(root: Node, call: Call): Promise<HolderSet> {
    const holders = new HolderSet()
    if (root.type === 'symlink') return holders
    const ask = async (peer: string): Promise<void> => {
      if (await this.#asked(peer, root, limited)) holders.add(peer)
    }
    const key = root.type === 'directory' ? directoryKey(root.digest) : blobKey(root.digest)
    const limit = deadline(this.#components.clock, ROOT_DHT_MS, 'searching the DHT for a root')
    const limited = { signal: AbortSignal.any([call.signal, limit.signal]) }
    try {
      await searchHolders(this.#components, { key, ask, isEnough: () => holders.size > 0 }, limited)
    } finally {
      limit.clear()
    }
    return holders
  }

  /** Whether a peer says that it has a root. Never throws. */
  async #asked(peer: string, root: StoredNode, call: Call): Promise<boolean> {
    const { clock, log } = this.#components
    try {
      return await withDeadline(clock, ANSWER_MS, 'asking for a root', call, (timed) =>
        this.#hasRoot(peer, root, timed),
      )
    } catch (error) {
      log.debug('peer could not say', { peer, error })
      return false
    }
  }

  async #hasRoot(peer: string, root: StoredNode, call: Call): Promise<boolean> {
    const digests = [root.digest]
    const type = root.type === 'directory' ? 'directories' : 'layouts'
    let isHeld = false
    const onAnswer = (answer: AnswerItem): void => {
      if (answer.type !== 'absent') isHeld = this.#proves(peer, root, answer)
    }
    await this.#components.client.ask(
      peer,
      { want: { type, digests }, bytes: ANSWER_BYTES, onAnswer },
      call,
    )
    return isHeld
  }

  /** Whether an answer is of the root. @throws PeerError where it is of nothing that was asked */
  #proves(peer: string, root: StoredNode, answer: AnswerItem): boolean {
    const digest = root.digest.hex
    if (root.type === 'directory' && answer.type === 'directories') {
      const isRoot = answer.encoded.every((it) => Digest.ofContent(it).equals(root.digest))
      if (!isRoot) throw peerError({ code: 'content-corrupt', peer, digest })
      return answer.encoded.length > 0
    }
    if (root.type === 'file' && answer.type === 'layout' && answer.index === 0) {
      // It is the cache that says how long the file is: a peer which has another one does not lie.
      if (blobBytes(answer.layout) !== root.size) return false
      if (isPlausible(root, answer.layout)) return true
      throw peerError({ code: 'content-corrupt', peer, digest })
    }
    throw peerError({ code: 'protocol-broken', peer, what: `${answer.type} instead of a root` })
  }
}
