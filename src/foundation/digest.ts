import { Blake3Hasher, blake3 } from './blake3.ts'
import { equalBytes } from './bytes.ts'

/** Length of a BLAKE3-256 digest, in bytes. */
export const DIGEST_BYTES = 32

/**
 * A BLAKE3-256 digest: the name of a blob, a chunk or a Directory. Immutable; equal digests have
 * equal `hex`, which therefore serves as the key of maps and sets.
 */
export class Digest {
  readonly bytes: Uint8Array
  #hex: string | undefined

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Takes 32 bytes as a digest; they are not copied and must not change. @throws RangeError */
  static of(bytes: Uint8Array): Digest {
    if (bytes.length !== DIGEST_BYTES) {
      throw new RangeError(`a BLAKE3 digest has ${DIGEST_BYTES} bytes, not ${bytes.length}`)
    }
    return new Digest(bytes)
  }

  /** Reads 64 hexadecimal digits. @throws RangeError */
  static fromHex(hex: string): Digest {
    if (!/^[0-9a-fA-F]{64}$/.test(hex)) {
      throw new RangeError(`a BLAKE3 digest is written with 64 hexadecimal digits: ${hex}`)
    }
    return new Digest(Uint8Array.from(Buffer.from(hex, 'hex')))
  }

  /** The digest of the given content. */
  static ofContent(content: Uint8Array): Digest {
    return new Digest(blake3(content))
  }

  get hex(): string {
    this.#hex ??= Buffer.from(
      this.bytes.buffer,
      this.bytes.byteOffset,
      this.bytes.byteLength,
    ).toString('hex')
    return this.#hex
  }

  equals(other: Digest): boolean {
    return equalBytes(this.bytes, other.bytes)
  }

  toString(): string {
    return `b3:${this.hex}`
  }

  toJSON(): string {
    return this.hex
  }
}

/** Computes the digest of content that arrives in pieces. */
export class DigestBuilder {
  readonly #hasher = new Blake3Hasher()

  update(bytes: Uint8Array): this {
    this.#hasher.update(bytes)
    return this
  }

  /** Ends the computation; the builder is spent afterwards. */
  finish(): Digest {
    return Digest.of(this.#hasher.digest())
  }
}
