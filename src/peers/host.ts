import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import type { Connection, IdentifyResult, PeerId, PrivateKey, Stream } from '@libp2p/interface'
import { type KadDHTComponents, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { multiaddr } from '@multiformats/multiaddr'
import type { Datastore } from 'interface-datastore'
import { createLibp2p } from 'libp2p'
import type { Call } from '../foundation/call.ts'
import { type Clock, withDeadline } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { DialMemory } from './dial-memory.ts'
import type { FrameChannel } from './exchange/frame-channel.ts'
import { StreamFrameChannel } from './exchange/stream-frame-channel.ts'
import { HANDSHAKE_MS, InboundGate, PENDING_MAX } from './inbound-gate.ts'
import { LanDiscovery } from './lan-discovery.ts'
import { peerError } from './peer-error.ts'
import type { ConnectedPeer, Peer, PeerNetwork } from './peer-network.ts'
import { Reconnector } from './reconnector.ts'
import { rememberingTcp } from './remembering-tcp.ts'
import type { ProviderRouting } from './routing/dht-router.ts'
import { DhtStorage } from './routing/dht-storage.ts'
import { kademliaRouting, refreshSeldom } from './routing/kademlia-routing.ts'
import { RECORD_MS } from './routing/provider-records.ts'
import { SelfLookup } from './routing/self-lookup.ts'
import { withSparingPeerStore } from './routing/sparing-peer-store.ts'
import { Traffic } from './traffic.ts'

/** The protocol that nodes exchange content by. */
export const EXCHANGE_PROTOCOL = '/cairn/exchange/1'

/** The DHT's own protocol, so that no other network's nodes end up in its tables. */
export const KADEMLIA_PROTOCOL = '/cairn/kad/1.0.0'

/** How long a peer may take to be dialled. */
export const DIAL_MS = 5_000

/** How long a peer that the DHT names may take to be dialled: any number of them may be dead. */
export const HOLDER_DIAL_MS = 700

/** How long a DHT server may take to be dialled and to answer one question. */
export const DHT_ANSWER_MS = 1_000

/** How long it may take where all of them are slow. */
export const DHT_ANSWER_MS_MAX = 3_000

/**
 * How much of one stream may be on its way to this node, in bytes. It waits in queues of the sender
 * and of the line, and the answers to what is asked meanwhile wait behind it: with yamux's 16 MiB
 * for seconds, where seven peers share a line of 15 Mbit/s. A line of 1 Gbit/s takes 4 ms for half
 * a megabyte, which is what a busy process needs to ask for more.
 */
export const STREAM_WINDOW_BYTES_MAX = 512 * 1024

/** How many connections a node has at the most. */
export const CONNECTIONS_MAX = 500

/** How many connections one host may begin in a second; a fleet starts all at once. */
export const INBOUND_PER_SECOND_MAX = 100

/** How many channels one connection may have in each direction. */
export const CHANNELS_MAX = 8

/** How often connections are pinged, for their latency: 30 s were 8 MB a day and neighbour. */
const PING_INTERVAL_MS = 300_000

/** How often the DHT's tables are gone over; who comes is in them at once. */
const DHT_REFRESH_MS = 3_600_000

/** What a host works with. */
export interface HostComponents {
  readonly clock: Clock
  readonly log: Log
  readonly identity: PrivateKey
  /** Where libp2p keeps provider records. */
  readonly datastorePath: string
  /** Connections with these peers are turned down. */
  readonly isBanned: (peer: string) => boolean
}

/** How a host finds and meets others. */
export interface HostInit {
  /** Multiaddresses to listen on. */
  readonly listen: readonly string[]
  /** Multiaddresses of peers to stay connected with, with or without their ids. */
  readonly bootstrap: readonly string[]
  /** Whether to look for neighbours on the local network. */
  readonly mdns: boolean
}

/** A node of the libp2p network: TCP, noise, yamux, identify, ping, Kademlia and mDNS. */
export class Host implements PeerNetwork, Service {
  readonly name = 'host'
  readonly #components: HostComponents
  readonly #storage: DhtStorage
  readonly #libp2p: Libp2pNode
  readonly #listen: string
  readonly #dials: DialMemory
  readonly #lan: LanDiscovery | undefined
  readonly #reconnector: Reconnector
  readonly #selfLookup: SelfLookup
  /** Who speaks our protocol. To make a PeerId of text takes longer than to ask about it. */
  readonly #speakers = new Map<string, PeerId>()
  /** What is exchanged with each peer. */
  readonly traffic: Traffic
  #channelHandler: (peer: string, channel: FrameChannel) => void = () => undefined
  #connectHandlers: ((peer: string) => void)[] = []

  private constructor(
    components: HostComponents,
    init: HostInit,
    parts: HostParts & { libp2p: Libp2pNode; storage: DhtStorage },
  ) {
    this.#components = components
    this.traffic = new Traffic(components)
    this.#libp2p = parts.libp2p
    this.#storage = parts.storage
    this.#listen = init.listen.join(', ')
    this.#dials = parts.dials
    this.#lan = parts.lan
    this.#reconnector = new Reconnector(
      {
        clock: components.clock,
        log: components.log,
        isConnected: (peer) => this.#isConnected(peer),
        dial: (target, call) => this.#dial(target, call),
      },
      { addresses: init.bootstrap },
    )
    const lookUp = (call: Call): Promise<void> => this.#lookUpSelf(call)
    this.#selfLookup = new SelfLookup({ ...components, lookUp })
  }

  /** Prepares a host; it meets nobody before `start`. */
  static async open(components: HostComponents, init: HostInit): Promise<Host> {
    const self = peerIdFromPrivateKey(components.identity).toString()
    const storage = await DhtStorage.open(components.datastorePath, { ...components, self })
    const dials = new DialMemory(components)
    const isAlone = (): boolean => libp2p.getConnections().length === 0
    const lan = init.mdns ? new LanDiscovery({ ...components, isAlone }) : undefined
    const datastore = storage.datastore()
    const libp2p: Libp2pNode = await createNode(components, init, { datastore, dials, lan })
    refreshSeldom(libp2p.services.dht, DHT_REFRESH_MS)
    return new Host(components, init, { libp2p, storage, dials, lan })
  }

  get id(): string {
    return this.#libp2p.peerId.toString()
  }

  /** The addresses that it listens on, each with its id. */
  get addresses(): readonly string[] {
    return this.#libp2p.getMultiaddrs().map((address) => address.toString())
  }

  /** Finds and announces providers by the DHT. */
  get contentRouting(): ProviderRouting {
    return kademliaRouting(this.#libp2p, KADEMLIA_PROTOCOL)
  }

  async start(): Promise<void> {
    const libp2p = this.#libp2p
    libp2p.addEventListener('peer:identify', ({ detail }) => {
      this.#remember(detail)
      if (detail.protocols.includes(EXCHANGE_PROTOCOL)) this.#onSpeaker(detail.peerId.toString())
    })
    libp2p.addEventListener('peer:disconnect', ({ detail }) => {
      this.#speakers.delete(detail.toString())
      this.#components.log.debug('peer disconnected', { peer: detail })
    })
    libp2p.addEventListener('peer:discovery', ({ detail }) => {
      for (const address of detail.multiaddrs) this.#dials.forget(address)
      this.#reconnector.meet(detail.id.toString())
    })
    await libp2p.handle(
      EXCHANGE_PROTOCOL,
      (stream, connection) => this.#onStream(stream, connection),
      {
        maxInboundStreams: CHANNELS_MAX,
        maxOutboundStreams: CHANNELS_MAX,
      },
    )
    try {
      await libp2p.start()
    } catch (cause) {
      const what = `peers can not be listened for at ${this.#listen}: ${reasonOf(cause)}`
      throw new Error(what, { cause })
    }
    await this.#storage.restore(libp2p.peerStore)
    await this.#reconnector.start()
    await this.#lan?.start()
  }

  async stop(): Promise<void> {
    await this.#lan?.stop()
    await this.#reconnector.stop()
    await this.#selfLookup.stop()
    await this.#libp2p.stop()
    await this.#storage.close()
  }

  connected(): readonly ConnectedPeer[] {
    return [...this.#speakers].flatMap(([id, peerId]) => {
      const [connection] = this.#libp2p.getConnections(peerId)
      if (connection === undefined) return []
      return [{ id, address: connection.remoteAddr.toString(), latencyMs: connection.rtt }]
    })
  }

  async connect(peer: Peer, call: Call): Promise<void> {
    if (this.#isConnected(peer.id)) return
    try {
      const multiaddrs = peer.addresses.map((address) => multiaddr(address))
      const known = await this.#libp2p.peerStore.merge(peerIdFromString(peer.id), { multiaddrs })
      // libp2p would search the DHT for other addresses, of one that the DHT has just named.
      const isInVain = known.addresses.every((it) => this.#dials.isInVain(it.multiaddr))
      if (isInVain && known.addresses.length > 0) throw new Error('nobody answered a moment ago')
      await this.#dial({ peer: peer.id }, call, HOLDER_DIAL_MS)
    } catch (cause) {
      call.signal.throwIfAborted()
      throw peerError({ code: 'unreachable', peer: peer.id }, cause)
    }
  }

  async openChannel(peer: string, call: Call): Promise<FrameChannel> {
    try {
      const id = peerIdFromString(peer)
      const stream = await withDeadline(
        this.#components.clock,
        DIAL_MS,
        'dialling',
        call,
        (timed) => this.#libp2p.dialProtocol(id, EXCHANGE_PROTOCOL, timed),
      )
      return this.#channel(peer, stream)
    } catch (cause) {
      call.signal.throwIfAborted()
      throw peerError({ code: 'unreachable', peer }, cause)
    }
  }

  onChannel(handler: (peer: string, channel: FrameChannel) => void): void {
    this.#channelHandler = handler
  }

  onConnect(handler: (peer: string) => void): void {
    this.#connectHandlers.push(handler)
  }

  async disconnect(peer: string): Promise<void> {
    this.#speakers.delete(peer)
    await this.#libp2p.hangUp(peerIdFromString(peer))
  }

  #isConnected(peer: string): boolean {
    return this.#libp2p.getConnections(peerIdFromString(peer)).length > 0
  }

  async #dial(
    target: { peer: string } | { address: string },
    call: Call,
    dialMs = DIAL_MS,
  ): Promise<string> {
    const to = 'peer' in target ? peerIdFromString(target.peer) : multiaddr(target.address)
    // Who is to be stayed connected with is dialled as often as it takes.
    if (!('peer' in target)) this.#dials.forget(multiaddr(target.address))
    const { clock } = this.#components
    const connection = await withDeadline(clock, dialMs, 'dialling', call, (timed) =>
      this.#libp2p.dial(to, timed),
    )
    return connection.remotePeer.toString()
  }

  async #lookUpSelf(call: Call): Promise<void> {
    const key = this.#libp2p.peerId.toMultihash().bytes
    for await (const _closest of this.#libp2p.peerRouting.getClosestPeers(key, call));
  }

  /** Where whoever may announce something is, for when this node has been started anew. */
  #remember({ peerId, listenAddrs }: IdentifyResult): void {
    const addresses = listenAddrs.map((address) => address.toString())
    this.#storage.remember(peerId.toString(), addresses).catch((error) => {
      this.#components.log.debug('addresses could not be kept', { error })
    })
  }

  #onSpeaker(peer: string): void {
    if (this.#speakers.size === 0) this.#selfLookup.begin()
    this.#speakers.set(peer, peerIdFromString(peer))
    this.#components.log.info('peer connected', { peer })
    for (const handler of this.#connectHandlers) handler(peer)
  }

  #onStream(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    this.#channelHandler(peer, this.#channel(peer, stream))
  }

  #channel(peer: string, stream: Stream): FrameChannel {
    const onBytes = (bytes: number, direction: 'in' | 'out'): void => {
      this.traffic.count(peer, bytes, direction)
    }
    return new StreamFrameChannel({ stream }, { onBytes })
  }
}

/** libp2p's words fill a page; what the system said of the address is in them. */
function reasonOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error)
  return /listen E[A-Z]+:[^\n]*/.exec(words)?.[0] ?? words.split('\n')[0]!
}

interface HostParts {
  readonly dials: DialMemory
  readonly lan: LanDiscovery | undefined
}

type Libp2pNode = Awaited<ReturnType<typeof createNode>>

async function createNode(
  components: HostComponents,
  init: HostInit,
  { datastore, dials, lan }: HostParts & { datastore: Datastore },
) {
  const gate = new InboundGate(components)
  return await createLibp2p({
    start: false,
    privateKey: components.identity,
    datastore,
    addresses: { listen: [...init.listen] },
    transports: [rememberingTcp(dials, components.clock)],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX } })],
    peerDiscovery: lan === undefined ? [] : [lan.peerDiscovery],
    // By default addresses are forgotten after an hour, and with them the records of providers.
    peerStore: { maxAddressAge: RECORD_MS, maxPeerAge: RECORD_MS },
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      maxIncomingPendingConnections: PENDING_MAX,
      inboundUpgradeTimeout: HANDSHAKE_MS,
      inboundConnectionThreshold: INBOUND_PER_SECOND_MAX,
      dialTimeout: DIAL_MS,
    },
    // One late ping on a loaded machine is no reason to cut a transfer: requests have time-outs.
    connectionMonitor: { pingInterval: PING_INTERVAL_MS, abortConnectionOnPingFailure: false },
    connectionGater: {
      denyInboundConnection: (connection) => gate.denies(connection),
      denyInboundUpgradedConnection: (_, connection) => {
        gate.admitted(connection)
        return false
      },
      denyDialPeer: (peer) => components.isBanned(peer.toString()),
      denyDialMultiaddr: (address) => dials.isInVain(address),
      denyInboundEncryptedConnection: (peer, connection) => {
        const isBanned = components.isBanned(peer.toString())
        if (isBanned) gate.turnedAway(connection)
        return isBanned
      },
    },
    services: {
      identify: identify(),
      ping: ping(),
      dht: (parts: KadDHTComponents) =>
        kadDHT({
          protocol: KADEMLIA_PROTOCOL,
          clientMode: false,
          // The default mapper drops private addresses, which are all that a LAN has.
          peerInfoMapper: passthroughMapper,
          querySelfInterval: DHT_REFRESH_MS,
          allowQueryWithZeroPeers: true,
          // By default 5 s: a few servers that are gone would take up a whole search.
          networkDialTimeout: { minTimeout: DHT_ANSWER_MS, maxTimeout: DHT_ANSWER_MS_MAX },
        })(withSparingPeerStore(parts, components.clock)),
    },
  })
}
