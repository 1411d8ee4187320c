import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import { measureNar } from '../nar/measure-nar.ts'
import {
  asFinal,
  type FinalClaim,
  type TrustedClaim,
  type TrustPolicy,
} from '../pathinfo/trust-policy.ts'

/**
 * Makes an admitted claim final. One that is signed the Nix way names a NAR hash, not a root: the
 * NAR of the fetched content is rendered and measured against it.
 * @throws PathInfoError 'nar-mismatch'
 */
export async function narCheck(
  claim: TrustedClaim,
  components: { trust: TrustPolicy; castore: Castore },
  call: Call,
): Promise<FinalClaim> {
  const final = asFinal(claim)
  if (final !== undefined) return final
  const measured = await measureNar(claim.pathInfo.node, components.castore, call)
  return components.trust.settle(claim, measured)
}
