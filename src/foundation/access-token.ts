import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** Random bytes of a token: nobody finds 256 bits by trying. */
const TOKEN_BYTES = 32

/** Characters of the longest text that is looked at as a token. */
export const TOKEN_LENGTH_MAX = 256

const NAME = /^[\w.@-]{1,64}$/

/** Whether a token may be called so. */
export function isTokenName(text: string): boolean {
  return NAME.test(text)
}

/** What is kept of a token: whose it is, and its SHA-256. The token itself is kept nowhere. */
export class TokenHash {
  readonly name: string
  readonly sha256: Uint8Array

  private constructor(name: string, sha256: Uint8Array) {
    this.name = name
    this.sha256 = sha256
  }

  static of(name: string, token: string): TokenHash {
    return new TokenHash(name, sha256Of(token))
  }

  /** Reads `NAME:sha256:HEX`, undefined where the text is none. */
  static parse(text: string): TokenHash | undefined {
    const [, name, hex] = /^([^:]+):sha256:([0-9a-f]{64})$/.exec(text) ?? []
    if (name === undefined || hex === undefined || !isTokenName(name)) return undefined
    return new TokenHash(name, Buffer.from(hex, 'hex'))
  }

  toString(): string {
    return `${this.name}:sha256:${Buffer.from(this.sha256).toString('hex')}`
  }
}

/**
 * Tokens by which clients on other machines may write. A plain SHA-256 is enough at rest, since a
 * token is random and not a password that somebody thought of.
 */
export class AccessTokens {
  readonly #hashes: readonly TokenHash[]

  constructor(_components: object, init: { readonly hashes: readonly TokenHash[] }) {
    this.#hashes = init.hashes
  }

  /** Whose token it is, or undefined. How long it takes says nothing of how much of it is right. */
  holderOf(token: string): string | undefined {
    if (token.length > TOKEN_LENGTH_MAX) return undefined
    const given = sha256Of(token)
    let holder: string | undefined
    for (const { name, sha256 } of this.#hashes) {
      if (timingSafeEqual(given, sha256)) holder = name
    }
    return holder
  }

  /**
   * Whose token an Authorization header carries: `Bearer TOKEN`, or the password of `Basic`, which
   * is what Nix sends from a netrc file.
   */
  holderOfHeader(authorization: string | undefined): string | undefined {
    const [, scheme, value] = /^(bearer|basic) +(\S+)$/i.exec(authorization ?? '') ?? []
    if (scheme === undefined || value === undefined) return undefined
    if (scheme.toLowerCase() === 'bearer') return this.holderOf(value)
    const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(value, 'base64').toString()) ?? []
    return password === undefined ? undefined : this.holderOf(password)
  }
}

/** A new token; whoever has it may write. */
export function generateToken(): string {
  return `cairn_${randomBytes(TOKEN_BYTES).toString('base64url')}`
}

function sha256Of(token: string): Uint8Array {
  return createHash('sha256').update(token).digest()
}
