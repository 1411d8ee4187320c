import type { Peer, PeerId, PeerStore } from '@libp2p/interface'
import type { Clock } from '../../foundation/clock.ts'

/** For how long what a peer said of its addresses is not noted again, in milliseconds. */
export const SAID_MS = 10_000

/** Of how many peers it is known what they said last. */
const PEERS_MAX = 1_024

interface Said {
  readonly addresses: string
  readonly untilMs: number
  readonly noted: Promise<Peer>
}

/**
 * libp2p's memory of peers, which passes over addresses that the same peer said a moment ago.
 * kad-dht notes them with each provider record, of which there are hundreds in one stream, and
 * noting them costs several times what the record itself does.
 */
export function sparingPeerStore(peerStore: PeerStore, clock: Clock): PeerStore {
  const last = new Map<string, Said>()
  const merge: PeerStore['merge'] = (peer: PeerId, data, options) => {
    const { multiaddrs, ...rest } = data
    if (multiaddrs === undefined || Object.keys(rest).length > 0) {
      return peerStore.merge(peer, data, options)
    }
    const name = peer.toString()
    const addresses = multiaddrs.join(' ')
    const said = last.get(name)
    if (said?.addresses === addresses && clock.now() < said.untilMs) return said.noted
    const noted = peerStore.merge(peer, data, options)
    last.delete(name) // it goes to the end of those that give way
    last.set(name, { addresses, untilMs: clock.now() + SAID_MS, noted })
    if (last.size > PEERS_MAX) last.delete(last.keys().next().value!)
    noted.catch(() => last.delete(name)) // who asked is told
    return noted
  }
  return new Proxy(peerStore, {
    get: (target, name) => {
      if (name === 'merge') return merge
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** The parts of a libp2p node, its memory of peers with a {@link sparingPeerStore} before it. */
export function withSparingPeerStore<T extends { peerStore: PeerStore }>(
  parts: T,
  clock: Clock,
): T {
  const peerStore = sparingPeerStore(parts.peerStore, clock)
  return new Proxy(parts, {
    get: (target, name) => (name === 'peerStore' ? peerStore : Reflect.get(target, name)),
  })
}
