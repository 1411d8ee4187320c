import { createHash } from 'node:crypto'
import type { NamePattern } from './name-pattern.ts'
import type { PathFacts } from './path-facts.ts'
import { claimIdentity } from './root-fingerprint.ts'
import type { ShareChoices } from './share-choices.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** How many verdicts are remembered, so that serving a path does not verify it each time. */
export const VERDICTS_MAX = 65_536

/** How many patterns may be allowed, and how many denied. */
export const SHARE_PATTERNS_MAX = 256

/** Which paths are shared that no pattern names: those a configured key signed, all, or none. */
export const SHARE_MODES = ['signed', 'all', 'none'] as const

export type ShareMode = (typeof SHARE_MODES)[number]

/** What the configuration says of sharing. */
export interface ShareRules {
  /** `signed` by default. */
  readonly mode?: ShareMode
  /** Names of paths that are shared whatever the mode; none by default. */
  readonly allow?: readonly NamePattern[]
  /** Names of paths that are not, not even where they are allowed; none by default. */
  readonly deny?: readonly NamePattern[]
}

/** What the policy works with. */
export interface SharePolicyComponents {
  readonly trust: Pick<TrustPolicy, 'isSigned' | 'trustedKeys'>
  /** The owner has decided nothing where it is left out. */
  readonly choices?: Pick<ShareChoices, 'of' | 'fingerprint'>
}

/**
 * Decides which paths leave the machine. What the owner chose for the very path counts most; then
 * what is denied by name, then what is allowed by name, then the mode.
 */
export class SharePolicy {
  readonly #trust: SharePolicyComponents['trust']
  readonly #choices: SharePolicyComponents['choices']
  readonly #mode: ShareMode
  readonly #allow: readonly NamePattern[]
  readonly #deny: readonly NamePattern[]
  readonly #verdicts = new Map<string, boolean>()

  constructor(components: SharePolicyComponents, rules: ShareRules = {}) {
    this.#trust = components.trust
    this.#choices = components.choices
    this.#mode = rules.mode ?? 'signed'
    this.#allow = rules.allow ?? []
    this.#deny = rules.deny ?? []
  }

  /** Whether others may learn of this path. */
  shares(facts: PathFacts): boolean {
    const { storePath } = facts
    const chosen = this.#choices?.of(storePath)
    if (chosen !== undefined) return chosen
    const isNamed = (pattern: NamePattern): boolean => pattern.matches(storePath.name)
    if (this.#deny.some(isNamed)) return false
    if (this.#allow.some(isNamed)) return true
    return this.#mode === 'signed' ? this.#isSigned(facts) : this.#mode === 'all'
  }

  /**
   * Whether others may have what belongs to no path: build logs, realisations and their like. What
   * a log says nobody has signed or named, so it leaves the machine only where all does.
   */
  get sharesDocuments(): boolean {
    return this.#mode === 'all'
  }

  /** Equal where the same is shared of the same paths; another where anything may be different. */
  get fingerprint(): string {
    const keys = this.#trust.trustedKeys.map(String).sort()
    const rules = [this.#mode, this.#allow.map(String).sort(), this.#deny.map(String).sort()]
    const all = JSON.stringify([...rules, keys, this.#choices?.fingerprint])
    return createHash('sha256').update(all).digest('base64')
  }

  #isSigned(facts: PathFacts): boolean {
    const key = claimIdentity(facts)
    const known = this.#verdicts.get(key)
    if (known !== undefined) return known
    if (this.#verdicts.size >= VERDICTS_MAX) this.#verdicts.clear()
    const isSigned = this.#trust.isSigned(facts)
    this.#verdicts.set(key, isSigned)
    return isSigned
  }
}
