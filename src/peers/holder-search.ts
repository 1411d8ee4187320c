import type { Call } from '../foundation/call.ts'
import { type Clock, deadline } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Peer, PeerNetwork } from './peer-network.ts'
import type { Router } from './routing/router.ts'
import type { PeerLedger } from './standing/peer-ledger.ts'

/** How many of those that the DHT names are dialled and asked at once. */
export const HOLDERS_AT_ONCE = 24

/** How long one may keep others waiting, dial included; it may answer later all the same. */
export const HOLDER_MS = 750

/** How many of those that the DHT names are dialled for one question. */
export const HOLDERS_MAX = 128

/** What a search works with. */
export interface HolderSearchComponents {
  readonly network: Pick<PeerNetwork, 'connect'>
  readonly router: Pick<Router, 'holders'>
  readonly ledger: Pick<PeerLedger, 'standing'>
  readonly clock: Clock
  readonly log: Log
}

/**
 * Dials those that the DHT names for a key, and `asks` each that can be reached, until `isEnough`
 * or the call is aborted. To be named means nothing: anybody can have itself named, with addresses
 * where nobody is. So it goes on with the next ones for as long as those before come to nothing.
 */
export async function searchHolders(
  components: HolderSearchComponents,
  search: {
    readonly key: Uint8Array
    readonly ask: (peer: string) => Promise<void>
    readonly isEnough: () => boolean
  },
  call: Call,
): Promise<void> {
  const { network, router, ledger, clock, log } = components
  const asked = new Set<Promise<void>>()
  const inTheWay = new Set<Promise<void>>()
  let dialled = 0

  const begin = (peer: Peer): void => {
    const asking = network
      .connect(peer, call)
      .then(() => search.ask(peer.id))
      .catch((error) => log.debug('holder out of reach', { peer: peer.id, error }))
    asked.add(asking)
    const turn = deadline(clock, HOLDER_MS, 'asking a holder')
    const waiting = Promise.race([asking, aborted(turn), aborted(call)]).then(() => {
      turn.clear()
      inTheWay.delete(waiting)
    })
    inTheWay.add(waiting)
  }

  try {
    for await (const peer of router.holders(search.key, call)) {
      if (ledger.standing(peer.id) !== 'welcome') continue
      if (dialled++ >= HOLDERS_MAX) break
      begin(peer)
      while (inTheWay.size >= HOLDERS_AT_ONCE) await Promise.race(inTheWay)
      if (search.isEnough() || call.signal.aborted) break
    }
  } catch (error) {
    log.debug('DHT search ended', { error })
  }
  await Promise.all(asked)
}

function aborted({ signal }: Call): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
