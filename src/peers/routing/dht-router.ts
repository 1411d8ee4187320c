import type { ContentRouting } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import { create as createMultihash } from 'multiformats/hashes/digest'
import type { Call } from '../../foundation/call.ts'
import type { Peer } from '../peer-network.ts'
import type { Router } from './router.ts'

// A raw CID over a sha2-256 multihash: the only kind that js-libp2p's Kademlia servers keep.
const CODEC_RAW = 0x55
const SHA2_256 = 0x12

/** What routing needs of the DHT. */
export type ProviderRouting = Pick<ContentRouting, 'findProviders' | 'provide' | 'cancelReprovide'>

/** Routing by the Kademlia DHT. */
export class DhtRouter implements Router {
  readonly #routing: ProviderRouting
  readonly #self: string

  constructor(components: { routing: ProviderRouting; self: string }) {
    this.#routing = components.routing
    this.#self = components.self
  }

  async *holders(key: Uint8Array, call: Call): AsyncGenerator<Peer> {
    for await (const found of this.#routing.findProviders(cidOf(key), { signal: call.signal })) {
      const id = found.id.toString()
      if (id === this.#self) continue
      yield { id, addresses: found.multiaddrs.map((address) => address.toString()) }
    }
  }

  async announce(key: Uint8Array, call: Call): Promise<void> {
    await this.#routing.provide(cidOf(key), { signal: call.signal })
  }

  async withdraw(key: Uint8Array, call: Call): Promise<void> {
    await this.#routing.cancelReprovide(cidOf(key), { signal: call.signal })
  }
}

function cidOf(key: Uint8Array): CID {
  return CID.createV1(CODEC_RAW, createMultihash(SHA2_256, key))
}
