import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { PathInfo, type PathInfoFields } from '../pathinfo/path-info.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { SharePolicy } from '../pathinfo/share-policy.ts'
import type { Signer } from '../pathinfo/signer.ts'
import { asFinal, type TrustPolicy } from '../pathinfo/trust-policy.ts'

/** A path that was taken in, and whether others may have it. */
export interface TakenIn {
  readonly pathInfo: PathInfo
  readonly shared: boolean
}

/**
 * Takes in what this machine's owner puts into the node: their word counts, and is signed with the
 * node's own key where there is one.
 */
export class OwnerIntake {
  readonly #pathInfos: PathInfoStore
  readonly #trust: TrustPolicy
  readonly #share: SharePolicy
  readonly #signer: Signer | undefined

  constructor(components: {
    pathInfos: PathInfoStore
    trust: TrustPolicy
    share: SharePolicy
    signer?: Signer | undefined
  }) {
    this.#pathInfos = components.pathInfos
    this.#trust = components.trust
    this.#share = components.share
    this.#signer = components.signer
  }

  /** Stores a path whose content is in the castore already. */
  async take(fields: PathInfoFields, call: Call): Promise<TakenIn> {
    const given = new PathInfo(fields)
    const held = await this.#pathInfos.get(given.storePath.hash, call)
    const same = held !== undefined && equalBytes(held.narSha256, given.narSha256)
    const merged = same ? given.withSignatures(held.signatures, held.rootSignatures) : given
    const pathInfo = this.#signer === undefined ? merged : this.#signer.sign(merged)
    const claim = asFinal(this.#trust.admit({ pathInfo, origin: 'owner' }))
    if (claim === undefined) throw new Error("the owner's word is final")
    await this.#pathInfos.put([claim], call)
    return { pathInfo, shared: this.#share.shares(pathInfo) }
  }
}
