import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import { measureNar } from '../nar/measure-nar.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
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
  const { pathInfo } = claim
  const measured = await measureNar(pathInfo.node, components.castore, call)
  const settled = components.trust.settle(claim, measured)
  await checkRootSize(pathInfo, components.castore, call)
  return settled
}

/** The size of a root Directory is in no NAR, so that no NAR hash speaks for it. */
async function checkRootSize(
  { node, storePath }: PathInfo,
  castore: Castore,
  call: Call,
): Promise<void> {
  if (node.type !== 'directory') return
  const root = await castore.directories.get(node.digest, call)
  if (root?.size === node.size) return
  const what = `the root of ${storePath} does not have the ${node.size} entries that were claimed`
  throw new PathInfoError({ code: 'nar-mismatch', storePath: storePath.toString() }, what)
}
