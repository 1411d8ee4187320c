import type { PathInfo } from './path-info.ts'
import { claimIdentity } from './root-fingerprint.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** How many verdicts are remembered, so that serving a path does not verify it each time. */
export const VERDICTS_MAX = 65_536

/** Decides what leaves the machine: paths that bear a signature of a configured key. */
export class SharePolicy {
  readonly #trust: Pick<TrustPolicy, 'isSigned'>
  readonly #verdicts = new Map<string, boolean>()

  constructor(components: { trust: Pick<TrustPolicy, 'isSigned'> }) {
    this.#trust = components.trust
  }

  /** Whether others may learn of this path. */
  shares(pathInfo: PathInfo): boolean {
    const key = claimIdentity(pathInfo)
    const known = this.#verdicts.get(key)
    if (known !== undefined) return known
    if (this.#verdicts.size >= VERDICTS_MAX) this.#verdicts.clear()
    const shared = this.#trust.isSigned(pathInfo)
    this.#verdicts.set(key, shared)
    return shared
  }
}
