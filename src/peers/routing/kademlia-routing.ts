import type { ContentRouting, Libp2p, PeerId, PeerInfo } from '@libp2p/interface'
import type { KadDHT, SingleKadDHT } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'
import type { ProviderRouting } from './dht-router.ts'

// A raw CID over a sha2-256 multihash: the only kind that js-libp2p's Kademlia servers keep.
const CODEC_RAW = 0x55

/** What of libp2p is needed. */
type Node = Pick<Libp2p<{ dht: KadDHT }>, 'services' | 'getMultiaddrs' | 'dialProtocol'> & {
  readonly contentRouting: Pick<ContentRouting, 'findProviders'>
}

/** Routing by a libp2p node and its DHT, whose protocol is `protocol`. */
export function kademliaRouting(node: Node, protocol: string): ProviderRouting {
  const dht = node.services.dht as SingleKadDHT // which it is; only its factory's type says less
  return {
    get serversKnown() {
      return dht.routingTable.size
    },
    get servers() {
      return serversOf(dht)
    },
    get ownAddresses() {
      const addresses = node.getMultiaddrs().map((it) => it.decapsulateCode(CODE_P2P))
      return addresses.toSorted(byWorth).map(({ bytes }) => bytes)
    },
    findProviders: (multihash, { signal }) => {
      const cid = CID.createV1(CODEC_RAW, decodeMultihash(multihash))
      return node.contentRouting.findProviders(cid, { signal })
    },
    closestServers: async function* (multihash, { signal }): AsyncGenerator<PeerInfo> {
      for await (const event of dht.getClosestPeers(multihash, { signal })) {
        if (event.name === 'FINAL_PEER') yield event.peer
      }
    },
    openStream: (peer, { signal }) =>
      node.dialProtocol(peerIdFromString(peer), protocol, { signal }),
  }
}

/**
 * Has a DHT go over its tables each `intervalMs` milliseconds. kad-dht has no option for it, and
 * does it every five minutes, each time with a lookup for each of its buckets.
 */
export function refreshSeldom(dht: KadDHT, intervalMs: number): void {
  const { routingTableRefresh } = dht as { routingTableRefresh?: { refreshInterval: number } }
  if (routingTableRefresh?.refreshInterval === undefined) throw new Error('kad-dht has changed')
  routingTableRefresh.refreshInterval = intervalMs
}

/** kad-dht tells no more than how many there are, but has them in the table that it counts. */
function* serversOf(dht: SingleKadDHT): Generator<string> {
  const { kb } = dht.routingTable as { kb?: { toIterable(): Iterable<{ peerId: PeerId }> } }
  if (kb === undefined) throw new Error('kad-dht has changed')
  for (const { peerId } of kb.toIterable()) yield peerId.toString()
}

/** Addresses that others may reach first, and of those the shortest. */
function byWorth(a: Multiaddr, b: Multiaddr): number {
  const rank = (it: Multiaddr): number => (/^\/ip4\/127\.|^\/ip6\/::1\//.test(`${it}`) ? 1 : 0)
  return rank(a) - rank(b) || a.bytes.length - b.bytes.length
}
