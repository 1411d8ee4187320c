import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Castore } from '../../castore/castore.ts'
import type { Outboard } from '../../castore/verified/outboard.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Log } from '../../foundation/log.ts'
import type { Random } from '../../foundation/random.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'

/** What fetching works with. */
export interface ContentFetchComponents {
  readonly castore: Castore
  readonly client: ExchangeClient
  readonly ledger: PeerLedger
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** A blob that is to be fetched. */
export interface WantedBlob {
  readonly digest: Digest
  /** Its length in bytes, as its Directory says. */
  readonly size: number
}

/** A blob's chunk list, and who gave it: they answer for it. */
export interface SourcedLayout {
  readonly blob: WantedBlob
  readonly layout: readonly ChunkRef[]
  /** What proves the blob group after group; where it is not at hand, only its end does. */
  readonly outboard?: Outboard | undefined
  readonly peer: string
}
