import type { Castore } from '../castore/castore.ts'
import type { Leases } from '../castore/leases.ts'
import type { AccessTokens } from '../foundation/access-token.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Semaphore } from '../foundation/semaphore.ts'
import type { NarSource } from '../nar/render-nar.ts'
import type { NamedDocumentStore } from '../pathinfo/named-document-store.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { ReadAccess } from '../pathinfo/read-access.ts'
import type { TrustPolicy } from '../pathinfo/trust-policy.ts'
import type { UploadedNarStore } from '../pathinfo/uploaded-nar-store.ts'
import type { ClosureAhead } from '../substitution/closure-ahead.ts'
import type { OwnerIntake } from '../substitution/owner-intake.ts'
import type { Substituter } from '../substitution/substituter.ts'
import type { DebugInfoIndex } from './debug-info-index.ts'
import type { GatewayLimits } from './gateway-limits.ts'
import type { StrangerBudget } from './stranger-budget.ts'
import type { WholeRoots } from './whole-roots.ts'

/** What the gateway works with. */
export interface GatewayComponents {
  readonly substituter: Substituter
  /** Fetches what clients will ask for next. */
  readonly ahead: Pick<ClosureAhead, 'described' | 'asked'>
  readonly castore: Castore
  /** To read parts of paths from that are not held. */
  readonly contents: NarSource
  readonly pathInfos: LocalPathInfoStore
  readonly trust: TrustPolicy
  readonly intake: OwnerIntake
  readonly uploads: UploadedNarStore
  readonly documents: NamedDocumentStore
  readonly tokens: AccessTokens
  /** What others than the owner may read. */
  readonly others: ReadAccess
  /** Each request holds one, so that nothing is collected from under it. */
  readonly leases: Leases
  readonly clock: Clock
  readonly log: Log
}

/** What its routes work with: that, and what the gateway itself keeps in mind. */
export interface RouteComponents extends GatewayComponents {
  readonly limits: GatewayLimits
  readonly roots: WholeRoots
  readonly budget: StrangerBudget
  readonly debugInfo: DebugInfoIndex
  /** Room for NARs that are being sent. */
  readonly sending: Semaphore
}
