import type { PeerNetwork } from './peer-network.ts'
import type { PeerLedger } from './standing/peer-ledger.ts'

/**
 * Who is connected and can be asked, at any time that it is looked: whoever is welcome then, or has
 * been while this was in use. Those that come later are as good as those that were there.
 */
export class Neighbours implements Iterable<string> {
  readonly #network: Pick<PeerNetwork, 'connected'>
  readonly #ledger: PeerLedger
  #met: ReadonlySet<string> = new Set()

  constructor(components: { network: Pick<PeerNetwork, 'connected'>; ledger: PeerLedger }) {
    this.#network = components.network
    this.#ledger = components.ledger
  }

  [Symbol.iterator](): IterableIterator<string> {
    const ids = this.#network.connected().map(({ id }) => id)
    const isKnown = (id: string): boolean => this.#met.has(id)
    const isWelcome = (id: string): boolean => this.#ledger.standing(id) === 'welcome'
    const met = new Set(ids.filter((id) => isKnown(id) || isWelcome(id)))
    this.#met = met
    return met.values()
  }
}
