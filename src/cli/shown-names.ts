import { printableBytes, utf8Bytes, utf8Text } from '../foundation/bytes.ts'

const BACKSLASH = 0x5c

/**
 * A name for a person to read, and to write again: bytes that are not printable stand as `\xNN`,
 * and so does a backslash that would be taken for the beginning of one.
 */
export function shownName(name: Uint8Array): string {
  const text = utf8Text(name)
  if (text !== undefined && printableBytes(name) === text) return text.replaceAll('\\x', '\\x5cx')
  const shownByte = (byte: number): string =>
    byte === BACKSLASH ? '\\x5c' : printableBytes(Uint8Array.of(byte))
  return Array.from(name, shownByte).join('')
}

/** The name that somebody wrote as {@link shownName} shows it. */
export function writtenName(text: string): Uint8Array {
  const parts = text.split(/\\x([0-9a-f]{2})/)
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? utf8Bytes(part) : Buffer.from(part, 'hex'))),
  )
}
