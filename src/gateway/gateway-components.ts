import type { Castore } from '../castore/castore.ts'
import type { Log } from '../foundation/log.ts'
import type { UploadedNarStore } from '../pathinfo/uploaded-nar-store.ts'
import type { OwnerIntake } from '../substitution/owner-intake.ts'
import type { Substituter } from '../substitution/substituter.ts'

/** What the gateway works with. */
export interface GatewayComponents {
  readonly substituter: Substituter
  readonly castore: Castore
  readonly intake: OwnerIntake
  readonly uploads: UploadedNarStore
  readonly log: Log
}
