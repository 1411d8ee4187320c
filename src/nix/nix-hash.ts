import { decodeBase64 } from './base64.ts'
import { decodeNixBase32, encodeNixBase32, nixBase32Length } from './nix-base32.ts'
import { malformed, shown } from './nix-error.ts'

/** The algorithms of hashes in narinfos, with the length of their hashes in bytes. */
const BYTES_OF = { md5: 16, sha1: 20, sha256: 32, sha512: 64 } as const

/** The name of a hash algorithm, as Nix writes it. */
export type NixHashAlgorithm = keyof typeof BYTES_OF

/** A hash and how it was made. */
export interface NixHash {
  readonly algorithm: NixHashAlgorithm
  readonly bytes: Uint8Array
}

/**
 * Reads `<algorithm>:<hex|nix32|base64>`, told apart by their lengths, or `<algorithm>-<base64>`
 * (SRI), as Nix's `Hash::parseAnyPrefixed` does.
 * @throws NixError 'bad-hash'
 */
export function parseNixHash(text: string): NixHash {
  const match = /^(md5|sha1|sha256|sha512)([:-])(.*)$/s.exec(text)
  if (match === null) {
    const right = `"<algorithm>:<hash>", the algorithm one of ${Object.keys(BYTES_OF).join(', ')}`
    throw malformed('bad-hash', `a hash is written ${right}: ${shown(text)}`)
  }
  const algorithm = match[1] as NixHashAlgorithm
  try {
    return { algorithm, bytes: parseDigits(match[3]!, BYTES_OF[algorithm], match[2] === '-') }
  } catch (cause) {
    const right = `${BYTES_OF[algorithm]} bytes in hex, nix32 or base64`
    throw malformed('bad-hash', `a ${algorithm} hash is ${right}: ${shown(text)}`, cause)
  }
}

/** The hash as `<algorithm>:<nix32>`, the form of narinfos. */
export function renderNixHash(hash: NixHash): string {
  return `${hash.algorithm}:${encodeNixBase32(hash.bytes)}`
}

function parseDigits(digits: string, byteLength: number, isSri: boolean): Uint8Array {
  if (!isSri && digits.length === byteLength * 2 && /^[0-9a-fA-F]*$/.test(digits)) {
    return Uint8Array.from(Buffer.from(digits, 'hex'))
  }
  if (!isSri && digits.length === nixBase32Length(byteLength)) {
    return decodeNixBase32(digits, byteLength)
  }
  return decodeBase64(digits, byteLength)
}
