import type { Call } from '../../foundation/call.ts'
import type { Peer } from '../peer-network.ts'
import { ROUTING_KEY_BYTES } from './kademlia-id.ts'
import type { Announced, Router } from './router.ts'

/** What several routers within one process know together. */
export type MemoryRoutes = Map<string, Map<string, Peer>>

/** Routing within one process: the twin of the DHT for tests and simulations. */
export class MemoryRouter implements Router {
  readonly #routes: MemoryRoutes
  readonly #self: Peer
  readonly reach = 1

  constructor(components: { routes: MemoryRoutes; self: Peer }) {
    this.#routes = components.routes
    this.#self = components.self
  }

  async *holders(key: Uint8Array, call: Call): AsyncGenerator<Peer> {
    for (const peer of [...(this.#routes.get(hexOf(key))?.values() ?? [])]) {
      call.signal.throwIfAborted()
      if (peer.id !== this.#self.id) yield peer
    }
  }

  async announce(keys: readonly Uint8Array[], call: Call): Promise<Announced> {
    call.signal.throwIfAborted()
    for (const key of keys) {
      const holders = this.#routes.get(hexOf(key)) ?? new Map<string, Peer>()
      this.#routes.set(hexOf(key), holders.set(this.#self.id, this.#self))
    }
    return { keys: keys.length, told: 1, bytes: keys.length * ROUTING_KEY_BYTES }
  }

  async withdraw(key: Uint8Array, call: Call): Promise<void> {
    call.signal.throwIfAborted()
    this.#routes.get(hexOf(key))?.delete(this.#self.id)
  }
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}
