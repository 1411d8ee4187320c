import { createHash } from 'node:crypto'
import { STORE_DIRECTORY, STORE_PATH_HASH_BYTES, StorePath } from './store-path.ts'

/**
 * The path that `nix-store --add` gives content of that NAR hash (SHA-256, 32 bytes) and name:
 * recursive, fixed by its hash, without references (`makeFixedOutputPath` in Nix).
 * @throws NixError 'bad-store-path' where the name is none
 */
export function fixedStorePath(narSha256: Uint8Array, name: string): StorePath {
  const hex = Buffer.from(narSha256).toString('hex')
  const fingerprint = `source:sha256:${hex}:${STORE_DIRECTORY}:${name}`
  return StorePath.of(folded(createHash('sha256').update(fingerprint).digest()), name)
}

/** Nix's `compressHash`: the bytes that are too many are XORed onto the first ones. */
function folded(hash: Uint8Array): Uint8Array {
  const result = new Uint8Array(STORE_PATH_HASH_BYTES)
  for (const [i, byte] of hash.entries()) result[i % STORE_PATH_HASH_BYTES]! ^= byte
  return result
}
