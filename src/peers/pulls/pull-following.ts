import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Castore } from '../../castore/castore.ts'
import { BitSet } from '../../foundation/bit-set.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Log } from '../../foundation/log.ts'
import type { Random } from '../../foundation/random.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import type { ReadAccess } from '../../pathinfo/read-access.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import { peerError } from '../peer-error.ts'
import type { PeerNetwork } from '../peer-network.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import { ChunkIntake } from '../swarm/chunk-intake.ts'
import { GrowingPieceList } from '../swarm/growing-piece-list.ts'
import { MemberWatch } from '../swarm/member-watch.ts'
import { PieceExchange } from '../swarm/piece-exchange.ts'
import { PieceFetch } from '../swarm/piece-fetch.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { SwarmView } from '../swarm/swarm-view.ts'
import type { Swarms } from '../swarm/swarms.ts'

/** What it works with. */
export interface PullFollowingComponents {
  readonly client: Pick<ExchangeClient, 'ask' | 'reportError'>
  readonly network: Pick<PeerNetwork, 'connected'>
  readonly ledger: PeerLedger
  readonly swarms: Pick<Swarms, 'open'>
  /** What others may have of what was here before. */
  readonly access: Pick<ReadAccess, 'reachesBlob'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Where the content goes. */
  readonly castore: Pick<Castore, 'blobs'>
  readonly progress: FetchProgress
}

/** Whom it follows. */
export interface FollowedPull {
  readonly peer: string
  /** The root of the swarm of those who fetch from the pull. */
  readonly root: Digest
  /** How long the NAR is, in bytes. */
  readonly narSize: number
  /** The id of this node. */
  readonly self: string
}

/**
 * Fetches what another node has pulled so far, while it goes on, together with all others who do:
 * a swarm over a list that grows. What comes of it are chunks, each proven by its name alone.
 */
export class PullFollowing {
  readonly #components: PullFollowingComponents
  readonly #pull: FollowedPull
  readonly #list: GrowingPieceList
  readonly #intake: ChunkIntake
  readonly #fetch: PieceFetch
  /** Chunks that came from others: they may be given on, as what was here before may not. */
  readonly #taken = new Set<string>()
  #swarm: Swarm | undefined
  /** How many of the chunks told are in the list, and how many pieces are being fetched. */
  #added = 0
  #wanted = 0
  #isEnded = false
  #grown = Promise.withResolvers<void>()

  /** @param init.whole the whole turn: what has come is stored also where the pull broke off */
  constructor(
    components: PullFollowingComponents,
    init: { readonly pull: FollowedPull; readonly whole: Call },
  ) {
    const { castore, client, progress } = components
    const { pull } = init
    this.#components = components
    this.#pull = pull
    this.#list = new GrowingPieceList({ id: pull.root, bytes: pull.narSize })
    const pieces = this.#list
    this.#intake = new ChunkIntake(
      { castore, pieces },
      {
        onTaken: (digests) => this.#onTaken(digests),
        onOtherSize: () => this.#blame('a chunk has another length'),
      },
    )
    const sizes = Array.from({ length: pieces.size }, () => 0)
    const view = new SwarmView({ self: pull.self, sizes, salt: pull.root.hex })
    const intake = this.#intake
    const transport = new PieceExchange({ client, intake, pieces, progress }, init)
    this.#fetch = new PieceFetch(
      { ...components, view, transport },
      {
        onHere: (piece) => this.#holds(piece),
        onClaims: (claimed, isFetching) => this.#swarm?.claims(claimed, isFetching),
      },
      { isGrowing: true },
    )
  }

  /** Takes up what has been told since: `chunks` are all that the puller has told so far. */
  tell(chunks: readonly ChunkRef[]): void {
    if (this.#added >= chunks.length || this.#isEnded) return
    for (; this.#added < chunks.length; this.#added++) this.#list.add(chunks[this.#added]!)
    this.#grow()
  }

  /** All has been told: it ends with what is known. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#list.end()
    this.#grow()
  }

  /** Fetches up to the end; what nobody who is left has is left out. @throws the call's reason */
  async run(call: Call): Promise<void> {
    const { swarms, clock, network, random, ledger, client, log } = this.#components
    const over = new AbortController()
    const inner = narrowedCall(call, over.signal)
    using membership = swarms.open(this.#pull.root, { isOrigin: false })
    this.#swarm = membership?.swarm
    const pieces = this.#list
    const held = new BitSet(pieces.size)
    this.#swarm?.prepare({ pieces, directories: [], blobs: [], held })
    this.#fetch.meetComplete(this.#pull.peer)
    const growing = this.#goOn(inner)
    growing.catch((error) => this.#fetch.fail(error))
    try {
      if (membership === undefined) {
        await this.#fetch.run(inner)
      } else {
        const { swarm } = membership
        const components = { client, network, ledger, clock, random, log }
        const watch = new MemberWatch(components, { swarm, pieces, fetch: this.#fetch })
        await watch.during([this.#pull.peer], () => this.#fetch.run(inner), inner)
        membership.complete()
      }
    } finally {
      over.abort(new Error('the pull is over'))
      await growing.catch(() => undefined) // thrown by the fetch
    }
  }

  /** Has pieces fetched as they become known. */
  async #goOn(call: Call): Promise<void> {
    for (;;) {
      const { promise } = this.#grown
      const isLast = this.#isEnded
      const closed = this.#list.closed
      const fresh = Array.from({ length: closed - this.#wanted }, (_, i) => this.#wanted + i)
      this.#wanted = closed
      await this.#intake.takeHeld(fresh, call)
      const sizes = new Map(fresh.map((piece) => [piece, this.#intake.bytesMissing(piece)]))
      for (const [piece, bytes] of sizes) if (bytes === 0) this.#holds(piece)
      if (fresh.length > 0) this.#fetch.want(sizes)
      if (isLast) break
      await unlessAborted(promise, call.signal)
    }
    this.#fetch.close()
  }

  /**
   * A piece is here. Others are told only where it came from others, or may be had from here
   * anyway: who tells of chunks has not shown that it has them, and may want to know who does.
   */
  #holds(piece: number): void {
    const { access } = this.#components
    const [begin, end] = this.#list.chunksOf(piece)
    for (let i = begin; i < end; i++) {
      const { digest } = this.#list.chunks[i]!
      if (!this.#taken.has(digest.hex) && !access.reachesBlob(digest)) return
    }
    this.#swarm?.holds(piece)
  }

  #onTaken(digests: readonly Digest[]): void {
    for (const digest of digests) this.#taken.add(digest.hex)
    this.#swarm?.reach(digests)
  }

  #blame(what: string): void {
    const { peer } = this.#pull
    this.#components.client.reportError(peer, peerError({ code: 'pull-false', peer, what }))
  }

  #grow(): void {
    const grown = this.#grown
    this.#grown = Promise.withResolvers<void>()
    grown.resolve()
  }
}
