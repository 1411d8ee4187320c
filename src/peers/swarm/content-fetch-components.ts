import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Castore } from '../../castore/castore.ts'
import type { Outboard } from '../../castore/verified/outboard.ts'
import type { Call } from '../../foundation/call.ts'
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
  /** Where chunks that somebody waits for may be on their way already. */
  readonly underWay?: UnderWay
}

/** What is being fetched, as those see it who wait for a part of it. */
export interface UnderWay {
  /** Has chunks come before all others; resolves when they are here, or will not come this way. */
  bring(chunks: readonly Digest[], call: Call): Promise<void>
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
