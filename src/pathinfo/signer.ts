import { nixFingerprint } from '../nix/fingerprint.ts'
import type { PublicKey, SecretKey } from '../nix/key.ts'
import type { PathInfo } from './path-info.ts'
import { rootFingerprint } from './root-fingerprint.ts'

/** Signs store paths both ways with one key: as Nix does, and over the castore root. */
export class Signer {
  readonly publicKey: PublicKey
  readonly #key: SecretKey

  constructor(components: { key: SecretKey }) {
    this.#key = components.key
    this.publicKey = components.key.publicKey()
  }

  sign(pathInfo: PathInfo): PathInfo {
    return pathInfo.withSignatures(
      [this.#key.sign(nixFingerprint(pathInfo))],
      [this.#key.sign(rootFingerprint(pathInfo))],
    )
  }
}
