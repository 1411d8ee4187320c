import type { Node } from '../castore/model/node.ts'
import { equalBytes } from '../foundation/bytes.ts'
import { nixFingerprint } from '../nix/fingerprint.ts'
import type { PublicKey } from '../nix/key.ts'
import type { Signature } from '../nix/signature.ts'
import type { Claim } from './claim.ts'
import type { PathFacts } from './path-facts.ts'
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

let mintNar: (facts: PathFacts) => TrustedNar
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

/**
 * What a cache says of a path, vouched for by someone trusted. Only this file makes them; it
 * becomes a final claim by {@link TrustPolicy.settleNar}, once its NAR is here.
 */
export class TrustedNar {
  readonly #facts: PathFacts

  private constructor(facts: PathFacts) {
    this.#facts = facts
  }

  get facts(): PathFacts {
    return this.#facts
  }

  static {
    mintNar = (facts) => new TrustedNar(facts)
  }
}

/** A claim with nothing left to check: what a PathInfo store takes. */
export type FinalClaim = TrustedClaim & { readonly final: true }

const NO_KEYS: ReadonlyMap<string, PublicKey> = new Map()

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

  /**
   * Looks at who vouches for what a cache says of a path whose root nobody knows yet. Of that cache
   * some keys may count that do not count otherwise.
   * @throws PathInfoError as {@link admit}
   */
  admitNar(facts: PathFacts, cacheKeys: readonly PublicKey[] = []): TrustedNar {
    const ofCache = new Map(cacheKeys.map((key) => [key.name, key]))
    if (this.#signedTheNixWay(facts, ofCache)) return mintNar(facts)
    throw this.#refusal(facts, ofCache)
  }

  /** Ends the admission of a NAR: what came must be what was signed. @throws PathInfoError */
  settleNar({ facts }: TrustedNar, ingested: MeasuredNar & { readonly node: Node }): FinalClaim {
    const pathInfo = new PathInfo({ ...facts, node: ingested.node })
    return this.settle(mint(pathInfo, 'nix-signature', false), ingested)
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
  isSigned(facts: PathFacts): boolean {
    const isRooted = facts instanceof PathInfo && this.#signedOverRoot(facts)
    return isRooted || this.#signedTheNixWay(facts)
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

  #signedTheNixWay(facts: PathFacts, more = NO_KEYS): boolean {
    return this.#anyVerifies(facts.signatures, () => nixFingerprint(facts), more)
  }

  #anyVerifies(
    signatures: readonly Signature[],
    fingerprint: () => Uint8Array,
    more = NO_KEYS,
  ): boolean {
    const keyOf = ({ name }: Signature) => this.#keys.get(name) ?? more.get(name)
    const known = signatures.filter((it) => keyOf(it) !== undefined)
    if (known.length === 0) return false
    const message = fingerprint()
    return known.some((signature) => keyOf(signature)!.verify(message, signature))
  }

  #refusal(facts: PathFacts, more = NO_KEYS): PathInfoError {
    const storePath = facts.storePath.toString()
    const overRoot = facts instanceof PathInfo ? facts.rootSignatures : []
    const all = [...facts.signatures, ...overRoot]
    const forged = all.find(({ name }) => this.#keys.has(name) || more.has(name))
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
