import type { Call } from '../foundation/call.ts'
import type { StorePath } from '../nix/store-path.ts'
import { PathInfoError } from './path-info-error.ts'
import type { PathInfoStore } from './path-info-store.ts'
import type { ShareChoices } from './share-choices.ts'
import type { SharedContent } from './shared-content.ts'
import { asFinal, type FinalClaim, type TrustPolicy } from './trust-policy.ts'

/** Lets this machine's owner decide about single paths, whatever the policy says of them. */
export class OwnerSharing {
  readonly #pathInfos: PathInfoStore
  readonly #choices: ShareChoices
  readonly #shared: Pick<SharedContent, 'policyChanged'>
  readonly #trust: TrustPolicy

  constructor(components: {
    pathInfos: PathInfoStore
    choices: ShareChoices
    shared: Pick<SharedContent, 'policyChanged'>
    trust: TrustPolicy
  }) {
    this.#pathInfos = components.pathInfos
    this.#choices = components.choices
    this.#shared = components.shared
    this.#trust = components.trust
  }

  /**
   * Shares paths from now on, or keeps them on this machine: all of them, or none. It counts at
   * once, and for ever.
   * @throws PathInfoError 'not-held', so that a name written wrongly is not taken for a choice;
   *   'too-many-choices'
   */
  async choose(storePaths: readonly StorePath[], isShared: boolean, call: Call): Promise<void> {
    const claims = await Promise.all(storePaths.map((it) => this.#held(it, call)))
    await this.#choices.choose(storePaths, isShared, call)
    await this.#shared.policyChanged({ narrows: !isShared })
    // Said anew, so that whoever watches the store looks at them again.
    await this.#pathInfos.put(claims, call)
  }

  async #held(storePath: StorePath, call: Call): Promise<FinalClaim> {
    const pathInfo = await this.#pathInfos.get(storePath.hash, call)
    if (pathInfo === undefined || !pathInfo.storePath.equals(storePath)) {
      const fault = { code: 'not-held', storePath: storePath.toString() } as const
      throw new PathInfoError(fault, `${storePath} is not held here`)
    }
    const claim = asFinal(this.#trust.admit({ pathInfo, origin: 'owner' }))
    if (claim === undefined) throw new Error("the owner's word is final")
    return claim
  }
}
