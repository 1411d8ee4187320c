import type { PeerInfo, Stream } from '@libp2p/interface'
import { peerIdFromMultihash, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'
import type { Call } from '../../foundation/call.ts'
import { type Clock, withDeadline } from '../../foundation/clock.ts'
import type { Peer } from '../peer-network.ts'
import { decodeProviders, encodeAddProvider, encodeGetProviders } from './kademlia-codec.ts'
import { multihashOf, placeOf, placeOfKey } from './kademlia-id.ts'
import { ask, tell } from './kademlia-stream.ts'
import { countWithin, isWithin, type Region, regionAround, type Server } from './region.ts'
import type { Announced, Router } from './router.ts'

/** How many servers keep the records of a key, and are asked for them: Kademlia's k. */
export const SERVERS_PER_KEY = 20

/** How many keys are announced over one stream to each server; the rest take another one. */
export const KEYS_PER_STREAM_MAX = 512

/** How long one server may take to be dialled and to take what it is told. */
export const TELL_MS = 10_000

/** How long one server may take to say whom it knows to have what a key stands for. */
export const ASK_MS = 500

/** For how long the servers of a region are taken to be the same, in milliseconds. */
export const REGION_MS = 300_000

/** How many regions are remembered. */
export const REGIONS_MAX = 256

/** How many names are taken from one server's answer, so that it can not bury the others. */
export const NAMES_PER_ANSWER_MAX = 64

/** How many names the search for one key comes up with at the most. */
export const NAMES_MAX = 256

/** What opening a stream takes, in bytes: both names of the protocol, and what ends it. */
const STREAM_BYTES = 150

/** What naming one peer in the answer to a lookup takes, in bytes. */
const NAMED_PEER_BYTES = 80

/** What routing needs of the DHT. Keys are multihashes. */
export interface ProviderRouting {
  /** How many DHT servers are known. */
  readonly serversKnown: number
  /** The ids of these servers. */
  readonly servers: Iterable<string>
  /** Where this node is reached, as multiaddrs without its id. */
  readonly ownAddresses: readonly Uint8Array[]
  /** Who has what a key stands for; it ends at 20 names, or a few more. */
  findProviders(multihash: Uint8Array, call: Call): AsyncIterable<PeerInfo>
  /** The servers next to a key that answer. */
  closestServers(multihash: Uint8Array, call: Call): AsyncIterable<PeerInfo>
  /** Opens a stream to a DHT server. */
  openStream(peer: string, call: Call): Promise<Stream>
}

interface RememberedRegion extends Region {
  readonly untilMs: number
  /** How many servers were known then. */
  readonly serversKnown: number
}

/** Routing by the Kademlia DHT. */
export class DhtRouter implements Router {
  readonly #routing: ProviderRouting
  readonly #self: string
  readonly #clock: Clock
  #regions: RememberedRegion[] = []

  constructor(components: { routing: ProviderRouting; self: string; clock: Clock }) {
    this.#routing = components.routing
    this.#self = components.self
    this.#clock = components.clock
  }

  get reach(): number {
    return Math.min(this.#routing.serversKnown, SERVERS_PER_KEY)
  }

  get servers(): Iterable<string> {
    return this.#routing.servers
  }

  async *holders(key: Uint8Array, call: Call): AsyncGenerator<Peer> {
    const multihash = multihashOf(key)
    const named = new Set<string>([this.#self])
    const isNew = ({ id }: Peer): boolean =>
      named.size <= NAMES_MAX && named.size < named.add(id).size
    for await (const found of this.#routing.findProviders(multihash, call)) {
      const peer = peerOf(found)
      if (isNew(peer)) yield peer
    }
    // The first servers' names were enough to end the search; others may know somebody better.
    if (named.size > SERVERS_PER_KEY) {
      for (const peer of await this.#allNamed(multihash, call)) if (isNew(peer)) yield peer
    }
  }

  async announce(keys: readonly Uint8Array[], call: Call): Promise<Announced> {
    call.signal.throwIfAborted()
    const places = keys.slice(0, KEYS_PER_STREAM_MAX).map(placeOfKey)
    const [first] = places
    if (first === undefined) return { keys: 0, told: 0, bytes: 0 }
    const known = this.#remembered(first)
    const region = known ?? (await this.#lookUp(keys[0]!, first, call))
    const count = countWithin(region, places)
    const records = this.#recordsOf(keys.slice(0, count))
    const answers = region.servers.map(({ peer }) => this.#tell(peer, records, call))
    const told = (await Promise.all(answers)).filter((isTold) => isTold).length
    if (told === 0) {
      this.#regions = this.#regions.filter((it) => it.place !== region.place)
      call.signal.throwIfAborted()
      throw new Error('no DHT server took the announcement')
    }
    const asked = known === undefined ? region.servers.length : 0
    const lookedUp = asked * (STREAM_BYTES + asked * NAMED_PEER_BYTES)
    return { keys: count, told, bytes: told * (STREAM_BYTES + records.length) + lookedUp }
  }

  /** Kademlia has no message for it: records expire where nobody says them again. */
  async withdraw(_key: Uint8Array, call: Call): Promise<void> {
    call.signal.throwIfAborted()
  }

  #remembered(place: Uint8Array): Region | undefined {
    const nowMs = this.#clock.now()
    const { serversKnown } = this.#routing
    this.#regions = this.#regions.filter(
      // Where there are few servers, one more is to be told as well.
      (it) => it.untilMs > nowMs && (it.bits > 0 || it.serversKnown === serversKnown),
    )
    return this.#regions.find((it) => isWithin(it, place))
  }

  async #lookUp(key: Uint8Array, place: Uint8Array, call: Call): Promise<Region> {
    const { serversKnown } = this.#routing
    const found: Server[] = []
    for await (const { id } of this.#routing.closestServers(multihashOf(key), call)) {
      found.push({ peer: id.toString(), place: placeOf(id.toMultihash().bytes) })
    }
    const region = regionAround(place, found, SERVERS_PER_KEY)
    if (this.#regions.length >= REGIONS_MAX) this.#regions.shift()
    const untilMs = this.#clock.now() + REGION_MS
    this.#regions.push({ ...region, untilMs, serversKnown })
    return region
  }

  /** The messages that announce keys; only the first one names more than one address. */
  #recordsOf(keys: readonly Uint8Array[]): Uint8Array {
    const id = peerIdFromString(this.#self).toMultihash().bytes
    const addresses = this.#routing.ownAddresses
    if (addresses.length === 0) throw new Error('there is no address to announce')
    const messages = keys.map((key, i) => {
      const named = i === 0 ? addresses : addresses.slice(0, 1)
      return encodeAddProvider(multihashOf(key), { id, addresses: named })
    })
    return Buffer.concat(messages)
  }

  /** Whether a server has taken it. */
  async #tell(peer: string, records: Uint8Array, call: Call): Promise<boolean> {
    try {
      await withDeadline(this.#clock, TELL_MS, 'telling a server', call, async (timed) => {
        await tell(await this.#routing.openStream(peer, timed), records, timed)
      })
      return true
    } catch {
      return false // the others keep the record
    }
  }

  /** All that the servers next to a key name, a name of each in turn. */
  async #allNamed(multihash: Uint8Array, call: Call): Promise<Peer[]> {
    const asked: Promise<Peer[]>[] = []
    for await (const { id } of this.#routing.closestServers(multihash, call)) {
      asked.push(this.#namedBy(id.toString(), multihash, call))
    }
    const answers = await Promise.all(asked)
    const longest = Math.max(0, ...answers.map(({ length }) => length))
    return Array.from({ length: longest }, (_, i) => answers.flatMap((it) => it[i] ?? [])).flat()
  }

  async #namedBy(server: string, multihash: Uint8Array, call: Call): Promise<Peer[]> {
    try {
      const answer = await withDeadline(
        this.#clock,
        ASK_MS,
        'asking a server',
        call,
        async (timed) =>
          ask(await this.#routing.openStream(server, timed), encodeGetProviders(multihash), timed),
      )
      return decodeProviders(answer, NAMES_PER_ANSWER_MAX).map(({ id, addresses }) => ({
        id: peerIdFromMultihash(decodeMultihash(id)).toString(),
        addresses: addresses.map((address) => multiaddr(address).toString()),
      }))
    } catch {
      return [] // it does not answer, or not so that it can be understood
    }
  }
}

function peerOf({ id, multiaddrs }: PeerInfo): Peer {
  return { id: id.toString(), addresses: multiaddrs.map((address) => address.toString()) }
}
