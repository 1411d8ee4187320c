import { equalBytes } from '../foundation/bytes.ts'
import { decodeNixBase32, encodeNixBase32 } from './nix-base32.ts'
import { malformed, shown } from './nix-error.ts'

/** The one store directory that cairn serves; its path is part of every signature. */
export const STORE_DIRECTORY = '/nix/store'

/** Length of the hash in a store path, in bytes. */
export const STORE_PATH_HASH_BYTES = 20

/** Length of the longest store path name, in characters. */
export const STORE_PATH_NAME_LENGTH_MAX = 211

const HASH_TEXT_LENGTH = 32
const PREFIX = `${STORE_DIRECTORY}/`

/**
 * The path of a store object, `/nix/store/<hash>-<name>`. Immutable and valid by the rules of
 * Nix 2.8: only the name's letters and length are restricted, leading dots are not (Nix 2.20 and
 * later refuse a few of those, but caches hold paths that older ones made).
 */
export class StorePath {
  readonly hash: Uint8Array
  readonly name: string
  readonly #hashText: string

  private constructor(hash: Uint8Array, hashText: string, name: string) {
    this.hash = hash
    this.name = name
    this.#hashText = hashText
  }

  /** The path of a 20-byte hash and a name; the hash is not copied. @throws NixError */
  static of(hash: Uint8Array, name: string): StorePath {
    if (hash.length !== STORE_PATH_HASH_BYTES) {
      const what = `the hash of a store path has ${STORE_PATH_HASH_BYTES} bytes, not ${hash.length}`
      throw malformed('bad-store-path', what)
    }
    checkName(name)
    return new StorePath(hash, encodeNixBase32(hash), name)
  }

  /** Reads `/nix/store/<hash>-<name>`, and nothing below it. @throws NixError 'bad-store-path' */
  static parse(fullPath: string): StorePath {
    if (!fullPath.startsWith(PREFIX)) {
      throw malformed('bad-store-path', `a store path begins with ${PREFIX}: ${shown(fullPath)}`)
    }
    return StorePath.parseBaseName(fullPath.slice(PREFIX.length))
  }

  /** Reads `<hash>-<name>`. @throws NixError 'bad-store-path' */
  static parseBaseName(baseName: string): StorePath {
    if (baseName[HASH_TEXT_LENGTH] !== '-') {
      const what = `a store path is ${HASH_TEXT_LENGTH} characters of hash, "-" and a name`
      throw malformed('bad-store-path', `${what}: ${shown(baseName)}`)
    }
    const hashText = baseName.slice(0, HASH_TEXT_LENGTH)
    const name = baseName.slice(HASH_TEXT_LENGTH + 1)
    checkName(name)
    return new StorePath(parseStorePathHash(hashText), hashText, name)
  }

  /** The hash in nix32: 32 characters, the key of maps and of narinfo URLs. */
  get hashText(): string {
    return this.#hashText
  }

  /** `<hash>-<name>`, as References and castore roots have it. */
  get baseName(): string {
    return `${this.#hashText}-${this.name}`
  }

  equals(other: StorePath): boolean {
    return this.name === other.name && equalBytes(this.hash, other.hash)
  }

  toString(): string {
    return PREFIX + this.baseName
  }

  toJSON(): string {
    return this.toString()
  }
}

/** Reads the 32 characters before the name of a store path. @throws NixError 'bad-store-path' */
export function parseStorePathHash(hashText: string): Uint8Array {
  try {
    return decodeNixBase32(hashText, STORE_PATH_HASH_BYTES)
  } catch (cause) {
    const what = `the hash of a store path is ${HASH_TEXT_LENGTH} characters of nix32`
    throw malformed('bad-store-path', `${what}: ${shown(hashText)}`, cause)
  }
}

/** Orders store paths as Nix's sets do, by their base names. */
export function compareStorePaths(a: StorePath, b: StorePath): number {
  const [left, right] = [a.baseName, b.baseName]
  return left < right ? -1 : left > right ? 1 : 0
}

function checkName(name: string): void {
  if (name.length === 0 || name.length > STORE_PATH_NAME_LENGTH_MAX) {
    const what = `the name of a store path has 1 to ${STORE_PATH_NAME_LENGTH_MAX} characters`
    throw malformed('bad-store-path', `${what}, not ${name.length}: ${shown(name)}`)
  }
  if (!/^[a-zA-Z0-9+\-._?=]+$/.test(name)) {
    const what = 'the name of a store path is written with letters, digits and +-._?='
    throw malformed('bad-store-path', `${what}: ${shown(name)}`)
  }
}
