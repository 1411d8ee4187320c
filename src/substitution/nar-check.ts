import type { Castore } from '../castore/castore.ts'
import type { Node } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { measureNar } from '../nar/measure-nar.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import {
  asFinal,
  type FinalClaim,
  type TrustedClaim,
  type TrustedNar,
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
  await checkRootSize(pathInfo.node, settled, components.castore, call)
  return settled
}

/**
 * Makes what a cache says of a path a final claim, by content that is here below the root that it
 * names: the NAR of that is rendered and measured against the signed one.
 * @throws PathInfoError 'nar-mismatch'; NarError where the content is not all here
 */
export async function rootCheck(
  { nar, root }: { readonly nar: TrustedNar; readonly root: Node },
  components: { trust: TrustPolicy; castore: Castore },
  call: Call,
): Promise<FinalClaim> {
  const measured = await measureNar(root, components.castore, call)
  const settled = components.trust.settleNar(nar, { ...measured, node: root })
  await checkRootSize(root, settled, components.castore, call)
  return settled
}

/** The size of a root Directory is in no NAR, so that no NAR hash speaks for it. */
async function checkRootSize(
  node: Node,
  { pathInfo }: FinalClaim,
  castore: Castore,
  call: Call,
): Promise<void> {
  if (node.type !== 'directory') return
  const root = await castore.directories.get(node.digest, call)
  if (root?.size === node.size) return
  const { storePath } = pathInfo
  const what = `the root of ${storePath} does not have the ${node.size} entries that were claimed`
  throw new PathInfoError({ code: 'nar-mismatch', storePath: storePath.toString() }, what)
}
