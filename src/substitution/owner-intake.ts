import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Signature } from '../nix/signature.ts'
import { PathInfo, type PathInfoFields } from '../pathinfo/path-info.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { SharedContent } from '../pathinfo/shared-content.ts'
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
  readonly #shared: Pick<SharedContent, 'shares' | 'offered'>
  readonly #signer: Signer | undefined

  constructor(components: {
    pathInfos: PathInfoStore
    trust: TrustPolicy
    shared: Pick<SharedContent, 'shares' | 'offered'>
    signer?: Signer | undefined
  }) {
    this.#pathInfos = components.pathInfos
    this.#trust = components.trust
    this.#shared = components.shared
    this.#signer = components.signer
  }

  /**
   * Stores a path whose content is in the castore already; where it is shared, others can have it
   * when this resolves. With `sign` false it stays signed as it is. Signatures that a trusted key
   * belies are left out: they vouch for nothing, and nobody shall get them from here.
   */
  async take(
    fields: PathInfoFields,
    call: Call,
    init: { readonly sign?: boolean } = {},
  ): Promise<TakenIn> {
    const given = new PathInfo(fields)
    const held = await this.#pathInfos.get(given.storePath.hash, call)
    const same = held !== undefined && equalBytes(held.narSha256, given.narSha256)
    const merged = same ? given.withSignatures(held.signatures, held.rootSignatures) : given
    const honest = this.#trust.withoutForged(merged)
    const signer = init.sign === false ? undefined : this.#signer
    const pathInfo = signer === undefined ? honest : signer.sign(honest)
    return await this.#put(pathInfo, call)
  }

  /**
   * Adds signatures to a path that is held; this node's own key signs nothing by it.
   * @throws PathInfoError 'bad-signature' where one names a trusted key that did not make it
   */
  async addSignatures(
    held: PathInfo,
    added: { readonly nix: readonly Signature[]; readonly root: readonly Signature[] },
    call: Call,
  ): Promise<TakenIn> {
    const pathInfo = held.withSignatures(added.nix, added.root)
    const kept = this.#trust.withoutForged(pathInfo)
    if (countOf(kept) === countOf(pathInfo)) return await this.#put(pathInfo, call)
    const storePath = held.storePath.toString()
    const what = `a signature for ${storePath} is not from the key that it names`
    throw new PathInfoError({ code: 'bad-signature', storePath }, what)
  }

  async #put(pathInfo: PathInfo, call: Call): Promise<TakenIn> {
    const claim = asFinal(this.#trust.admit({ pathInfo, origin: 'owner' }))
    if (claim === undefined) throw new Error("the owner's word is final")
    await this.#pathInfos.put([claim], call)
    await this.#shared.offered(pathInfo, call)
    return { pathInfo, shared: this.#shared.shares(pathInfo) }
  }
}

function countOf({ signatures, rootSignatures }: PathInfo): number {
  return signatures.length + rootSignatures.length
}
