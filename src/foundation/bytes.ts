const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

// Control characters, and those that turn the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for just these
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/

/** Orders byte strings as memcmp does, a prefix first: the order of castore and NAR. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

/** Whether two byte strings are the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** One array holding all parts in turn; a single part is returned as it is, not copied. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** The UTF-8 of a text. */
export function utf8Bytes(text: string): Uint8Array {
  return encoder.encode(text)
}

/** The text that the bytes spell, or undefined where they are no UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Bytes for a person to read: UTF-8 where it is, `\xNN` for every byte that is not printable. */
export function printableBytes(bytes: Uint8Array): string {
  const text = utf8Text(bytes)
  if (text !== undefined && !UNPRINTABLE.test(text)) return text
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${hexByte(byte)}`,
  ).join('')
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
