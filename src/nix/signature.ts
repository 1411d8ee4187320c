import { decodeBase64, encodeBase64 } from './base64.ts'
import { malformed, shown } from './nix-error.ts'

/** Length of an ed25519 signature, in bytes. */
export const SIGNATURE_BYTES = 64

/** An ed25519 signature and the name of the key that made it. */
export interface Signature {
  readonly name: string
  readonly data: Uint8Array
}

/** Reads `<key name>:<base64 of 64 bytes>`. @throws NixError 'bad-signature' */
export function parseSignature(text: string): Signature {
  const colon = text.indexOf(':')
  if (colon <= 0) {
    throw malformed('bad-signature', `a signature is "<key name>:<base64>": ${shown(text)}`)
  }
  try {
    const data = decodeBase64(text.slice(colon + 1), SIGNATURE_BYTES)
    return { name: text.slice(0, colon), data }
  } catch (cause) {
    const what = `a signature has ${SIGNATURE_BYTES} bytes in base64`
    throw malformed('bad-signature', `${what}: ${shown(text)}`, cause)
  }
}

/** The signature as narinfos have it, `<key name>:<base64>`. */
export function renderSignature(signature: Signature): string {
  return `${signature.name}:${encodeBase64(signature.data)}`
}
