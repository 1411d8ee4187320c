import type { Call } from '../../foundation/call.ts'
import type { Peer } from '../peer-network.ts'

/** What an announcement came to. */
export interface Announced {
  /** How many of the keys were announced: so many, from the first on. */
  readonly keys: number
  /** How many nodes were told of each. */
  readonly told: number
  /** What that took, in bytes on the wire; an estimate. */
  readonly bytes: number
}

/**
 * The port to whoever knows who has what. Keys are made by `routing-key.ts`; they do not give away
 * what they stand for.
 */
export interface Router {
  /** How many nodes would be told of a key just now, as far as is known. */
  readonly reach: number
  /** Ids of all who are known to be asked who has what; left out where that can not be told. */
  readonly servers?: Iterable<string>
  /** Peers that say they have what the key stands for, as they are found: hints, no promises. */
  holders(key: Uint8Array, call: Call): AsyncIterable<Peer>
  /**
   * Says that this node has what keys stand for: of as many of them, from the first on, as are told
   * to the same nodes. Those that are in the order of the key space go together.
   * @throws where nobody could be told
   */
  announce(keys: readonly Uint8Array[], call: Call): Promise<Announced>
  /** Takes that back, as far as it can be. */
  withdraw(key: Uint8Array, call: Call): Promise<void>
}
