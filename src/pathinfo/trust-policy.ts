import { equalBytes } from '../foundation/bytes.ts'
import { nixFingerprint } from '../nix/fingerprint.ts'
import type { PublicKey } from '../nix/key.ts'
import type { Signature } from '../nix/signature.ts'
import type { Claim } from './claim.ts'
import { PathInfo } from './path-info.ts'
import { PathInfoError } from './path-info-error.ts'
import { rootFingerprint } from './root-fingerprint.ts'

/** Who vouches for a claim: the owner's word, or a trusted key over the root or the Nix way. */
export type Voucher = 'owner' | 'root-signature' | 'nix-signature'

/** What measuring the NAR of some content gave. */
export interface MeasuredNar {
  readonly narSize: number
  readonly narSha256: Uint8Array
}

let mint: (pathInfo: PathInfo, voucher: Voucher, final: boolean) => TrustedClaim

/**
 * A claim that someone trusted vouches for. Only this file makes them. It is `final` when nothing
 * remains to be checked; one that is signed the Nix way alone names a NAR hash, not a root, and
 * becomes final by {@link TrustPolicy.settle}.
 */
export class TrustedClaim {
  readonly pathInfo: PathInfo
  readonly voucher: Voucher
  // A private name, so that nothing else than what this file made has the type.
  readonly #final: boolean

  private constructor(pathInfo: PathInfo, voucher: Voucher, final: boolean) {
    this.pathInfo = pathInfo
    this.voucher = voucher
    this.#final = final
  }

  get final(): boolean {
    return this.#final
  }

  static {
    mint = (pathInfo, voucher, final) => new TrustedClaim(pathInfo, voucher, final)
  }
}

/** A claim with nothing left to check: what a PathInfo store takes. */
export type FinalClaim = TrustedClaim & { readonly final: true }

/** Decides whose claims count. An empty key list trusts nobody but the owner. */
export class TrustPolicy {
  readonly #keys = new Map<string, PublicKey>()

  constructor(_components: object, init: { trustedKeys: readonly PublicKey[] }) {
    for (const key of init.trustedKeys) this.#keys.set(key.name, key)
  }

  /** The keys whose signatures count. */
  get trustedKeys(): readonly PublicKey[] {
    return [...this.#keys.values()]
  }

  /**
   * Looks at who vouches for a claim, before anything is fetched for it.
   * @throws PathInfoError 'untrusted', or 'forged' where a trusted key's name is on a signature
   *   that this key did not make
   */
  admit(claim: Claim): TrustedClaim {
    const { pathInfo, origin } = claim
    if (origin === 'owner') return mint(pathInfo, 'owner', true)
    if (this.#signedOverRoot(pathInfo)) return mint(pathInfo, 'root-signature', true)
    if (this.#signedTheNixWay(pathInfo)) return mint(pathInfo, 'nix-signature', false)
    throw this.#refusal(pathInfo)
  }

  /** Ends an admission: the content's NAR must be what was signed. @throws PathInfoError */
  settle(claim: TrustedClaim, measured: MeasuredNar): FinalClaim {
    const { pathInfo, voucher } = claim
    if (
      measured.narSize !== pathInfo.narSize ||
      !equalBytes(measured.narSha256, pathInfo.narSha256)
    ) {
      const storePath = pathInfo.storePath.toString()
      const what = `the content of ${storePath} does not have the NAR hash that was claimed`
      throw new PathInfoError({ code: 'nar-mismatch', storePath }, what)
    }
    return mint(pathInfo, voucher, true) as FinalClaim
  }

  /** Whether a configured key has signed the path, either way. */
  isSigned(pathInfo: PathInfo): boolean {
    return this.#signedOverRoot(pathInfo) || this.#signedTheNixWay(pathInfo)
  }

  /**
   * The path without signatures that name a trusted key which did not make them. Those of keys that
   * are not known here stay: others may know them.
   */
  withoutForged(pathInfo: PathInfo): PathInfo {
    const keep = (signatures: readonly Signature[], message: Uint8Array) =>
      signatures.filter((it) => this.#keys.get(it.name)?.verify(message, it) !== false)
    return new PathInfo({
      ...pathInfo,
      signatures: keep(pathInfo.signatures, nixFingerprint(pathInfo)),
      rootSignatures: keep(pathInfo.rootSignatures, rootFingerprint(pathInfo)),
    })
  }

  #signedOverRoot(pathInfo: PathInfo): boolean {
    return this.#anyVerifies(pathInfo.rootSignatures, () => rootFingerprint(pathInfo))
  }

  #signedTheNixWay(pathInfo: PathInfo): boolean {
    return this.#anyVerifies(pathInfo.signatures, () => nixFingerprint(pathInfo))
  }

  #anyVerifies(signatures: readonly Signature[], fingerprint: () => Uint8Array): boolean {
    const known = signatures.filter(({ name }) => this.#keys.has(name))
    if (known.length === 0) return false
    const message = fingerprint()
    return known.some((signature) => this.#keys.get(signature.name)!.verify(message, signature))
  }

  #refusal(pathInfo: PathInfo): PathInfoError {
    const storePath = pathInfo.storePath.toString()
    const all = [...pathInfo.signatures, ...pathInfo.rootSignatures]
    const forged = all.find(({ name }) => this.#keys.has(name))
    if (forged !== undefined) {
      const what = `a signature on ${storePath} is not from the key ${forged.name} that it names`
      return new PathInfoError({ code: 'forged', storePath, keyName: forged.name }, what)
    }
    const names = all.map(({ name }) => name).join(', ') || 'nobody'
    const what = `no trusted key signed ${storePath}; it is signed by ${names}`
    return new PathInfoError({ code: 'untrusted', storePath }, what)
  }
}

/** The claim as a final one, or undefined where its NAR is still to be measured. */
export function asFinal(claim: TrustedClaim): FinalClaim | undefined {
  return claim.final ? (claim as FinalClaim) : undefined
}
