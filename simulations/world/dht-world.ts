import { createHash } from 'node:crypto'
import type { PeerInfo, Stream, StreamMessageEvent } from '@libp2p/interface'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'
import type { ProviderRouting } from '../../src/peers/routing/dht-router.ts'
import { compareNearness, multihashOf, placeOf } from '../../src/peers/routing/kademlia-id.ts'

/** A ping's answer, with its length before it. */
const PONG = Uint8Array.of(2, 8, 5)

/** An address as multiaddrs name one: /ip4/10.0.0.1/tcp/4001. */
const ADDRESS = Uint8Array.of(4, 10, 0, 0, 1, 6, 15, 161)

interface Server {
  readonly info: PeerInfo
  readonly place: Uint8Array
}

/** DHT servers that all answer at once, and of which every lookup finds the right ones. */
export class DhtWorld implements ProviderRouting {
  readonly ownAddresses = [ADDRESS]
  readonly #servers: readonly Server[]
  /** How many lookups there were, streams, and bytes that went over these. */
  readonly counts = { lookups: 0, streams: 0, bytes: 0 }

  constructor(init: { readonly nodes: number }) {
    this.#servers = Array.from({ length: init.nodes - 1 }, (_, i) => serverOf(`server ${i}`))
  }

  /** The name of the node that announces. */
  get self(): string {
    return serverOf('self').info.id.toString()
  }

  get serversKnown(): number {
    return this.#servers.length
  }

  get servers(): readonly string[] {
    return this.#servers.map(({ info }) => info.id.toString())
  }

  async *findProviders(): AsyncGenerator<PeerInfo> {}

  async *closestServers(multihash: Uint8Array): AsyncGenerator<PeerInfo> {
    this.counts.lookups++
    const place = placeOf(multihash)
    const nearest = this.#servers.toSorted((a, b) => compareNearness(place, a.place, b.place))
    for (const { info } of nearest.slice(0, 20)) yield info
  }

  async openStream(): Promise<Stream> {
    this.counts.streams++
    const listeners = new Set<(event: StreamMessageEvent) => void>()
    const stream = {
      send: (messages: Uint8Array) => {
        this.counts.bytes += messages.length
        const event = { data: PONG } as unknown as StreamMessageEvent
        queueMicrotask(() => listeners.forEach((listener) => void listener(event)))
      },
      addEventListener: (type: string, listener: (event: StreamMessageEvent) => void) => {
        if (type === 'message') listeners.add(listener)
      },
      removeEventListener: (_: string, listener: (event: StreamMessageEvent) => void) => {
        listeners.delete(listener)
      },
      close: async () => undefined,
      abort: () => undefined,
    }
    return stream as unknown as Stream
  }
}

function serverOf(name: string): Server {
  const multihash = multihashOf(createHash('sha256').update(name).digest())
  const id = peerIdFromMultihash(decodeMultihash(multihash))
  return { info: { id, multiaddrs: [] }, place: placeOf(multihash) }
}
