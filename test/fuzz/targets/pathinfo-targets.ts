import { CastoreError } from '../../../src/castore/castore-error.ts'
import { FileNode } from '../../../src/castore/model/node.ts'
import { equalBytes } from '../../../src/foundation/bytes.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { NixError } from '../../../src/nix/nix-error.ts'
import { StorePath } from '../../../src/nix/store-path.ts'
import { decodePathInfo, encodePathInfo } from '../../../src/pathinfo/path-info-codec.ts'
import { PathInfoError } from '../../../src/pathinfo/path-info-error.ts'
import { claimIdentity } from '../../../src/pathinfo/root-fingerprint.ts'
import { Signer } from '../../../src/pathinfo/signer.ts'
import { TrustPolicy } from '../../../src/pathinfo/trust-policy.ts'
import { KEYS, pathInfoOf, pathNamed } from '../../fixtures/claims.ts'
import { noise } from '../../fixtures/content.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const plain = pathInfoOf('plain')
const signed = new Signer({ key: KEYS.a }).sign(
  pathInfoOf('signed', {
    references: ['a', 'b', 'c'].map(pathNamed),
    deriver: StorePath.of(noise(20, 'drv'), 'signed.drv'),
    ca: `fixed:r:sha256:${'0'.repeat(52)}`,
  }),
)
const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })

/** Stored and exchanged PathInfos: they read back, and none is trusted but what was signed. */
const pathInfo: FuzzTarget = {
  name: 'path-info',
  seeds: [plain, signed].map(encodePathInfo),
  dictionary: [signed.storePath.baseName, '/nix/store/', '../', noise(64, 'signature')],
  isRefusal: (error) =>
    [PathInfoError, NixError, CastoreError].some((refusal) => error instanceof refusal),
  check: (input) => {
    const decoded = decodePathInfo(input)
    const encoded = encodePathInfo(decoded)
    holds(equalBytes(encodePathInfo(decodePathInfo(encoded)), encoded), 'it reads back')
    if (!trust.isSigned(decoded)) return
    const isWhatWasSigned =
      equalBytes(decoded.narSha256, signed.narSha256) &&
      decoded.narSize === signed.narSize &&
      decoded.storePath.toString() === signed.storePath.toString() &&
      decoded.references.join() === signed.references.join()
    holds(isWhatWasSigned, 'no changed claim keeps its signature')
    const { final } = trust.admit({ pathInfo: decoded, origin: 'stranger' })
    if (final) holds(claimIdentity(decoded).length > 0 && sameRoot(decoded), 'nor a changed root')
  },
}

function sameRoot({ node }: { node: typeof signed.node }): boolean {
  if (!(node instanceof FileNode) || !(signed.node instanceof FileNode)) return false
  const { digest, size, executable } = signed.node
  return (
    node.digest.equals(Digest.of(digest.bytes)) &&
    node.size === size &&
    node.executable === executable
  )
}

export const PATH_INFO_TARGETS: readonly FuzzTarget[] = [pathInfo]
