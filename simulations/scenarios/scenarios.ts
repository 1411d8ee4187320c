import { ANNOUNCING } from './announcing.ts'
import { FLEET } from './fleet.ts'
import { LOOKUPS_SCENARIO } from './lookups.ts'
import type { Scenario } from './scenario.ts'
import { SWARM_SCENARIOS } from './swarm-scenarios.ts'

/** All scenarios but the store's, by name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  ...SWARM_SCENARIOS,
  fleet: FLEET,
  lookups: LOOKUPS_SCENARIO,
  announcing: ANNOUNCING,
}
