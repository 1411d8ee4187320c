import { BitSet } from '../../src/foundation/bit-set.ts'
import type { Call } from '../../src/foundation/call.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { type Random, seededRandom } from '../../src/foundation/random.ts'
import { SendingSlots } from '../../src/peers/exchange/sending-slots.ts'
import { PeerError } from '../../src/peers/peer-error.ts'
import type { ConnectedPeer } from '../../src/peers/peer-network.ts'
import type { Ban } from '../../src/peers/standing/ban-list.ts'
import { CONSEQUENCES, misdeedOf } from '../../src/peers/standing/misdeed.ts'
import { PeerLedger } from '../../src/peers/standing/peer-ledger.ts'
import type { Availability } from '../../src/peers/swarm/availability.ts'
import { MemberWatch } from '../../src/peers/swarm/member-watch.ts'
import { Origins } from '../../src/peers/swarm/origins.ts'
import { PieceFetch } from '../../src/peers/swarm/piece-fetch.ts'
import { Swarm } from '../../src/peers/swarm/swarm.ts'
import { SwarmView } from '../../src/peers/swarm/swarm-view.ts'
import { SimChannel } from './sim-channel.ts'
import type { SwarmWorld } from './swarm-world.ts'

/** What a node is: the first one has everything; a liar and a black hole say that they have. */
export type NodeKind = 'origin' | 'honest' | 'liar' | 'black-hole'

/**
 * A node of a world: the fetch, the view, the ledger and the swarm are those that production runs;
 * what they stand on, the exchange and the stores, is simulated.
 */
export class SimNode {
  readonly id: string
  readonly number: number
  readonly kind: NodeKind
  /** What is stored here: it outlives the process. */
  readonly held: BitSet
  readonly bans = new Map<string, Ban>()
  /** Whom it knows, and can ask and be asked by when both are there. */
  readonly linked = new Set<SimNode>()
  readonly counts = { sentBytes: 0, receivedBytes: 0, news: 0 }
  /** Those who gave it wrong bytes. */
  readonly liedTo = new Set<string>()
  readonly slots: SendingSlots<number>
  readonly #origins: Origins
  ledger: PeerLedger
  isOnline = true
  /** How often it gave up because nobody in reach had the rest. */
  failures = 0
  readonly #world: SwarmWorld
  readonly #channels = new Map<SimNode, SimChannel>()
  readonly #random: Random
  #swarm: Swarm | undefined
  #life = new AbortController()

  constructor(world: SwarmWorld, init: { readonly number: number; readonly kind: NodeKind }) {
    this.#world = world
    this.number = init.number
    this.kind = init.kind
    this.id = `node-${init.number}`
    this.held = new BitSet(world.pieces.size)
    if (init.kind !== 'honest') for (let i = 0; i < world.pieces.size; i++) this.held.add(i)
    this.#random = seededRandom(world.options.seed * 1_000_003 + init.number)
    this.ledger = this.#newLedger()
    this.slots = new SendingSlots<number>({ slots: world.options.slots })
    this.#origins = new Origins(world)
  }

  /** Fetches until it has everything, or is switched off. */
  async fetch(): Promise<void> {
    const call = { signal: this.#life.signal }
    try {
      while (!this.held.isFull) {
        await this.#fetchOnce(call)
        if (this.held.isFull) break
        this.failures++
        await this.#world.clock.sleep(this.#world.options.retryMs, call)
      }
    } catch (error) {
      if (!call.signal.aborted) throw error
    }
  }

  /** The process dies; what it has stored stays. */
  die(): void {
    this.isOnline = false
    this.#life.abort(new Error('the process died'))
    this.#swarm?.end()
    this.#swarm = undefined
    for (const node of this.#world.nodes) node.forget(this)
    for (const channel of this.#channels.values()) channel.close()
    this.#channels.clear()
  }

  /** It is there again, with what it had stored. */
  comeBack(): void {
    this.isOnline = true
    this.#life = new AbortController()
    this.ledger = this.#newLedger()
  }

  /** Another is gone: the channel to it is over. */
  forget(node: SimNode): void {
    this.#channels.get(node)?.close()
    this.#channels.delete(node)
  }

  /** What it tells one who watches; the production code's words wherever it has any. */
  async *tell(peer: string, pieces: Uint8Array, call: Call): AsyncGenerator<Availability> {
    if (this.kind !== 'honest' || this.held.isFull) {
      if (this.kind === 'origin' || this.kind === 'honest')
        yield* this.#origins.watch(peer, this.#world.pieces.id, call)
      else yield { complete: true }
      return
    }
    const swarm = this.#swarm
    if (swarm === undefined) return
    for await (const news of swarm.watch(peer, pieces, call)) {
      this.counts.news++
      this.#world.checks.told(this, news)
      yield news
    }
  }

  /** Whether it has a piece, or says so. */
  gives(piece: number): boolean {
    return this.held.has(piece)
  }

  store(piece: number): void {
    if (!this.held.add(piece)) return
    if (this.held.isFull) this.#world.completed(this)
  }

  /** The type of what takes news. */
  take(_peer: string, _news: Availability): void {}

  async #fetchOnce(call: Call): Promise<void> {
    const { clock, pieces, options } = this.#world
    const sizes = Array.from({ length: pieces.size }, (_, piece) =>
      this.held.has(piece) ? 0 : options.pieceBytes,
    )
    const swarm = new Swarm({ clock }, { root: pieces.id })
    this.#swarm = swarm
    const view = new SwarmView({ self: this.id, sizes })
    const transport = { ask: this.#askPieces.bind(this) }
    const components = { view, transport, ledger: this.ledger, clock, random: this.#random }
    const fetch = new PieceFetch(components, {
      onHere: (piece) => swarm.holds(piece),
      onClaims: (claimed, isFetching) => swarm.claims(claimed, isFetching),
    })
    const heldNow = BitSet.of(pieces.size, this.held.toBytes())!
    swarm.prepare({ pieces, directories: [], blobs: [], held: heldNow })
    const holders = [...this.#world.holdersFor(this)].map(({ id }) => id)
    for (const id of holders) fetch.meetComplete(id)
    const watch = new MemberWatch(
      {
        client: { ask: this.#ask.bind(this) },
        network: { connected: () => this.#connected() },
        ...{ ledger: this.ledger, clock, random: this.#random, log: silentLog },
      },
      { swarm, pieces, fetch },
    )
    await watch.during(holders, () => fetch.run(call), call)
    if (this.held.isFull) swarm.complete()
    else swarm.end()
    this.#swarm = undefined
  }

  #connected(): readonly ConnectedPeer[] {
    const others = [...this.linked].filter((it) => it.isOnline && !this.#hasBanned(it))
    return others
      .filter((it) => !it.bans.has(this.id))
      .map(({ id }) => ({ id, address: '', latencyMs: undefined }))
  }

  async #askPieces(
    peer: string,
    pieces: readonly number[],
    events: Parameters<SimChannel['ask']>[1],
    call: Call,
  ): Promise<void> {
    await this.#told(peer, call, (channel) => channel.ask(pieces, events, call))
  }

  /** What a MemberWatch asks by. */
  async #ask(
    peer: string,
    ask: Parameters<ConstructorParameters<typeof MemberWatch>[0]['client']['ask']>[1],
    call: Call,
  ): Promise<void> {
    const take = (_: string, availability: Availability): void => {
      void ask.onAnswer({ type: 'availability', availability })
    }
    const { pieces } = this.#world
    await this.#told(peer, call, (channel) => channel.watch(pieces.id.bytes, take, call))
  }

  /** Does something with a peer, and tells the ledger what came of it, as ExchangeClient does. */
  async #told(
    peer: string,
    call: Call,
    work: (channel: SimChannel) => Promise<void>,
  ): Promise<void> {
    try {
      call.signal.throwIfAborted()
      await work(this.#channelTo(peer))
      this.ledger.commend(peer)
    } catch (error) {
      if (!call.signal.aborted) this.#report(peer, error)
      throw error
    }
  }

  #report(peer: string, error: unknown): void {
    if (!(error instanceof PeerError)) return
    const misdeed = misdeedOf(error.fault)
    if (misdeed === undefined) return
    const node = this.#world.nodeOf(peer)
    this.ledger.report(peer, misdeed, error.message)
    const { dropsChannel, bans } = CONSEQUENCES[misdeed]
    if (dropsChannel) this.forget(node)
    if (bans) node.forget(this)
  }

  #channelTo(peer: string): SimChannel {
    const server = this.#world.nodeOf(peer)
    const known = this.#channels.get(server)
    if (known !== undefined && !known.isOver) return known
    const channel = new SimChannel(this.#world, { client: this, server })
    if (server.isOnline && !server.bans.has(this.id)) this.#channels.set(server, channel)
    else channel.close()
    return channel
  }

  #hasBanned(node: SimNode): boolean {
    return this.ledger.standing(node.id) === 'banned'
  }

  #newLedger(): PeerLedger {
    const { bans } = this
    const list = {
      get bans() {
        return [...bans.values()]
      },
      add: (ban: Ban) => void bans.set(ban.peer, ban),
      remove: (peer: string) => void bans.delete(peer),
    }
    return new PeerLedger({ clock: this.#world.clock, bans: list })
  }
}
