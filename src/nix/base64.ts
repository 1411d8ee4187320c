import { malformed, shown } from './nix-error.ts'

/** Bytes in standard base64, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/**
 * Reads the one padded base64 spelling of exactly `byteLength` bytes; Buffer's own reader would
 * skip foreign characters and stop early.
 * @throws NixError 'bad-base64'
 */
export function decodeBase64(text: string, byteLength: number): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'))
  if (bytes.length !== byteLength || encodeBase64(bytes) !== text) {
    throw malformed('bad-base64', `${shown(text)} is not ${byteLength} bytes in padded base64`)
  }
  return bytes
}
