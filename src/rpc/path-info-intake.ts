import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import { measureNar } from '../nar/measure-nar.ts'
import { PathInfo } from '../pathinfo/path-info.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import { contentIdentity } from '../pathinfo/root-fingerprint.ts'
import type { TrustPolicy } from '../pathinfo/trust-policy.ts'
import type { OwnerIntake } from '../substitution/owner-intake.ts'
import type { Readers } from './readers.ts'
import { rpcError } from './rpc-error.ts'

/** What {@link PathInfoIntake} works with. */
export interface PathInfoIntakeComponents {
  readonly castore: Castore
  readonly pathInfos: PathInfoStore
  readonly trust: TrustPolicy
  readonly intake: OwnerIntake
  readonly readers: Readers
}

/**
 * Takes in PathInfos that clients put: of this machine's owner any, of everybody else those that a
 * trusted key has signed. Either way all of the content has to be there, and its NAR is measured.
 */
export class PathInfoIntake {
  readonly #components: PathInfoIntakeComponents

  constructor(components: PathInfoIntakeComponents) {
    this.#components = components
  }

  /**
   * Stores a PathInfo and says what is stored now.
   * @throws PathInfoError where it is not trusted or its NAR is another; NarError where content is
   *   missing; RpcError where a stranger says something else than what is held
   */
  async put(given: PathInfo, isOwner: boolean, call: Call): Promise<PathInfo> {
    const { castore, intake, pathInfos, trust, readers } = this.#components
    const claim = trust.admit({ pathInfo: given, origin: isOwner ? 'owner' : 'stranger' })
    // Who puts what is not to be shared shall not learn by it that it is held.
    const isShared = readers.accessFor({ isOwner }).shares(given)
    const source = isShared ? castore : readers.castoreFor({ isOwner })
    const measured = await measureNar(given.node, source, call)
    const final = trust.settle(claim, measured)
    await this.#checkRootSize(given, call)
    if (isOwner) return (await intake.take(given, call)).pathInfo
    const merged = await this.#merged(final.pathInfo, call)
    await pathInfos.put(
      [trust.settle(trust.admit({ pathInfo: merged, origin: 'stranger' }), measured)],
      call,
    )
    return merged
  }

  /** The size of a root Directory is in no NAR. */
  async #checkRootSize({ node }: PathInfo, call: Call): Promise<void> {
    if (node.type !== 'directory') return
    const root = await this.#components.castore.directories.get(node.digest, call)
    if (root?.size === node.size) return
    throw rpcError('bad-request', `the root has ${root?.size} entries below it, not ${node.size}`)
  }

  /**
   * What is held of the path, with the signatures of trusted keys that a stranger brings: others
   * would only use up the room for signatures.
   */
  async #merged(given: PathInfo, call: Call): Promise<PathInfo> {
    const { pathInfos, trust } = this.#components
    const names = new Set(trust.trustedKeys.map(({ name }) => name))
    const signatures = given.signatures.filter(({ name }) => names.has(name))
    const vouched = trust.withoutForged(new PathInfo({ ...given, signatures, rootSignatures: [] }))
    const held = await pathInfos.get(given.storePath.hash, call)
    if (held === undefined) return vouched
    if (contentIdentity(held) === contentIdentity(vouched)) {
      return held.withSignatures(vouched.signatures)
    }
    throw rpcError('not-held', `something else is held under ${given.storePath}`)
  }
}
