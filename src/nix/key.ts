import {
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { concatBytes, equalBytes } from '../foundation/bytes.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { malformed, shown } from './nix-error.ts'
import { SIGNATURE_BYTES, type Signature } from './signature.ts'

const PUBLIC_BYTES = 32
const SEED_BYTES = 32

/** What stands before the raw bytes of an ed25519 key in its DER forms (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A key that signatures are checked with, in Nix's form `<name>:<base64 of 32 bytes>`. */
export class PublicKey {
  readonly name: string
  readonly bytes: Uint8Array
  readonly #key: KeyObject

  private constructor(name: string, bytes: Uint8Array, key: KeyObject) {
    this.name = name
    this.bytes = bytes
    this.#key = key
  }

  /** The key of 32 raw bytes and a name. @throws NixError 'bad-key' */
  static of(name: string, bytes: Uint8Array): PublicKey {
    checkName(name)
    if (bytes.length !== PUBLIC_BYTES) {
      throw malformed('bad-key', `a public key has ${PUBLIC_BYTES} bytes, not ${bytes.length}`)
    }
    const der = Buffer.concat([SPKI_PREFIX, bytes])
    return new PublicKey(name, bytes, createPublicKey({ key: der, format: 'der', type: 'spki' }))
  }

  /** Reads `<name>:<base64 of 32 bytes>`. @throws NixError 'bad-key' */
  static parse(text: string): PublicKey {
    const { name, bytes } = parseKey(text, PUBLIC_BYTES, (part) => shown(part))
    return PublicKey.of(name, bytes)
  }

  /** Whether this very key, by name and by mathematics, signed the message. */
  verify(message: Uint8Array, signature: Signature): boolean {
    if (signature.name !== this.name || signature.data.length !== SIGNATURE_BYTES) return false
    return cryptoVerify(null, message, this.#key, signature.data)
  }

  toString(): string {
    return `${this.name}:${encodeBase64(this.bytes)}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/**
 * A key that signs, in Nix's form `<name>:<base64 of 32 bytes seed and 32 bytes public key>`.
 * Neither JSON nor an inspected object shows the secret; only `toString` does, for the key file.
 */
export class SecretKey {
  readonly name: string
  readonly #seed: Uint8Array
  readonly #key: KeyObject
  readonly #publicKey: PublicKey

  private constructor(name: string, seed: Uint8Array) {
    const der = Buffer.concat([PKCS8_PREFIX, seed])
    this.name = name
    this.#seed = seed
    this.#key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    this.#publicKey = PublicKey.of(name, rawPublic(this.#key))
  }

  /** A new key of that name. @throws NixError 'bad-key' where the name is none */
  static generate(name: string): SecretKey {
    checkName(name)
    const { privateKey } = generateKeyPairSync('ed25519')
    const der = privateKey.export({ format: 'der', type: 'pkcs8' })
    return new SecretKey(name, Uint8Array.from(der.subarray(PKCS8_PREFIX.length)))
  }

  /**
   * Reads what `nix key generate-secret` writes; its halves must match.
   * @throws NixError 'bad-key'
   */
  static parse(text: string): SecretKey {
    // The message must not tell the secret, only how much of it there is.
    const hidden = (part: string): string => `${part.length} characters`
    const { name, bytes } = parseKey(text.trimEnd(), SEED_BYTES + PUBLIC_BYTES, hidden)
    const key = new SecretKey(name, bytes.slice(0, SEED_BYTES))
    if (!equalBytes(key.#publicKey.bytes, bytes.subarray(SEED_BYTES))) {
      const what = `the public half of the secret key ${shown(name)} does not belong to its seed`
      throw malformed('bad-key', what)
    }
    return key
  }

  publicKey(): PublicKey {
    return this.#publicKey
  }

  /** The ed25519 signature of the message, the same one each time. */
  sign(message: Uint8Array): Signature {
    return { name: this.name, data: Uint8Array.from(cryptoSign(null, message, this.#key)) }
  }

  toString(): string {
    return `${this.name}:${encodeBase64(concatBytes([this.#seed, this.#publicKey.bytes]))}`
  }

  toJSON(): string {
    return `secret key ${this.name}`
  }
}

function rawPublic(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return Uint8Array.from(der.subarray(SPKI_PREFIX.length))
}

/** `show` is what a message may tell of the part after the colon. */
function parseKey(
  text: string,
  byteLength: number,
  show: (part: string) => string,
): { name: string; bytes: Uint8Array } {
  const colon = text.indexOf(':')
  const base64 = text.slice(colon + 1)
  if (colon < 0) throw malformed('bad-key', `a key is "<name>:<base64>", not ${show(text)}`)
  const name = text.slice(0, colon)
  checkName(name)
  try {
    return { name, bytes: decodeBase64(base64, byteLength) }
  } catch {
    const what = `the key ${shown(name)} must have ${byteLength} bytes in base64`
    throw malformed('bad-key', `${what}, not ${show(base64)}`)
  }
}

function checkName(name: string): void {
  // A colon would end the name early, and white space would break key lists and narinfos.
  if (!/^[^\s:]+$/.test(name)) {
    const what = 'the name of a key is not empty and has neither colons nor white space'
    throw malformed('bad-key', `${what}: ${shown(name)}`)
  }
}
