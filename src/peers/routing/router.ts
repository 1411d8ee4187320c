import type { Call } from '../../foundation/call.ts'
import type { Peer } from '../peer-network.ts'

/**
 * The port to whoever knows who has what. Keys are made by `routing-key.ts`; they do not give away
 * what they stand for.
 */
export interface Router {
  /** Peers that say they have what the key stands for, as they are found: hints, no promises. */
  holders(key: Uint8Array, call: Call): AsyncIterable<Peer>
  /** Says that this node has what the key stands for. @throws where nobody could be told */
  announce(key: Uint8Array, call: Call): Promise<void>
  /** Takes that back, as far as it can be. */
  withdraw(key: Uint8Array, call: Call): Promise<void>
}
