import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { withDeadline } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { PathAsker } from './path-asker.ts'
import type { PeerNetwork } from './peer-network.ts'
import type { PeerLedger } from './standing/peer-ledger.ts'
import type { Traffic } from './traffic.ts'

/** How long neighbours may take to say what they have. */
export const CENSUS_MS = 2_000

/** What it works with. */
export interface HolderCensusComponents {
  readonly network: Pick<PeerNetwork, 'connected'>
  readonly asker: PathAsker
  readonly ledger: PeerLedger
  readonly traffic: Pick<Traffic, 'of'>
  readonly clock: Clock
  readonly log: Log
}

/** What a neighbour has of some paths. */
export interface HolderCount {
  readonly peer: string
  /** How many of the paths it has whole. */
  readonly pathsHeld: number
  /** What it is sent, and sends, just now: bytes a second. */
  readonly sendRate: number
  readonly receiveRate: number
}

/** Asks the neighbours which of some paths they have by now. */
export class HolderCensus {
  readonly #components: HolderCensusComponents

  constructor(components: HolderCensusComponents) {
    this.#components = components
  }

  /** Who can not say in time has none of them. */
  async count(hashes: readonly Uint8Array[], call: Call): Promise<HolderCount[]> {
    const { network, ledger } = this.#components
    const welcome = network.connected().filter(({ id }) => ledger.standing(id) !== 'banned')
    return await Promise.all(welcome.map(({ id }) => this.#countOne(id, hashes, call)))
  }

  async #countOne(peer: string, hashes: readonly Uint8Array[], call: Call): Promise<HolderCount> {
    const { asker, clock, traffic, log } = this.#components
    const ask = async (timed: Call): Promise<number> => {
      const found = await Promise.all(hashes.map((hash) => asker.ask(peer, hash, timed)))
      return found.filter((it) => it !== undefined).length
    }
    let pathsHeld = 0
    try {
      pathsHeld = await withDeadline(clock, CENSUS_MS, 'asking a neighbour', call, ask)
    } catch (error) {
      call.signal.throwIfAborted()
      log.debug('peer could not say', { peer, error })
    }
    const { sendRate, receiveRate } = traffic.of(peer)
    return { peer, pathsHeld, sendRate, receiveRate }
  }
}
