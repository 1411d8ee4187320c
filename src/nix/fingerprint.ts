import { utf8Bytes } from '../foundation/bytes.ts'
import { renderNixHash } from './nix-hash.ts'
import type { StorePath } from './store-path.ts'

/** What a Nix signature speaks of: a path, its NAR and what it refers to. */
export interface Fingerprinted {
  readonly storePath: StorePath
  /** SHA-256 of the NAR, 32 bytes. */
  readonly narSha256: Uint8Array
  /** Length of the NAR, in bytes. */
  readonly narSize: number
  /** In any order; a path may refer to itself. */
  readonly references: readonly StorePath[]
}

/**
 * The bytes that Nix signs (`ValidPathInfo::fingerprint`):
 * `1;<path>;sha256:<nix32>;<size>;<full paths of the references, sorted, each once, by commas>`.
 */
export function nixFingerprint(info: Fingerprinted): Uint8Array {
  const references = [...new Set(info.references.map(String))].sort()
  const narHash = renderNixHash({ algorithm: 'sha256', bytes: info.narSha256 })
  return utf8Bytes(`1;${info.storePath};${narHash};${info.narSize};${references.join(',')}`)
}
