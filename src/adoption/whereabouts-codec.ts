/** Where a piece of content lies in a file of this machine. */
export interface Whereabouts {
  readonly path: Buffer
  readonly offset: number
}

const HEAD_BYTES = 8

/** What the log keeps in place of content that lies elsewhere: the offset, then the path. */
export function encodeWhereabouts({ path, offset }: Whereabouts): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + path.length)
  bytes.writeDoubleLE(offset, 0)
  bytes.set(path, HEAD_BYTES)
  return bytes
}

/** Reads it; undefined where it is none. */
export function decodeWhereabouts(encoded: Uint8Array): Whereabouts | undefined {
  if (encoded.length <= HEAD_BYTES) return undefined
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength)
  const offset = bytes.readDoubleLE(0)
  const path = bytes.subarray(HEAD_BYTES)
  if (!Number.isSafeInteger(offset) || offset < 0 || path[0] !== 0x2f) return undefined
  return path.includes(0) ? undefined : { path, offset }
}
