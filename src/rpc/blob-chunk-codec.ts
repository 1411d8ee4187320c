import { BlobChunk } from '../generated/tvix/castore/v1/rpc_blobstore.ts'
import type { WireCodec } from './wire-codec.ts'

/** Field 1, length-delimited: the one field of a BlobChunk. */
const DATA_TAG = 0x0a

/** Bytes of the tag and of the longest length that is written here. */
const HEAD_BYTES_MAX = 6

/**
 * `tvix.castore.v1.BlobChunk` as its bytes. What arrives is not copied, what leaves is copied once;
 * generated code does either twice.
 */
export const BLOB_CHUNK_CODEC: WireCodec<Uint8Array> = {
  encode: (data) => ({ finish: () => encodeChunk(data) }),
  decode: decodeChunk,
}

function encodeChunk(data: Uint8Array): Uint8Array {
  if (data.length === 0) return data
  const bytes = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX + data.length)
  bytes[0] = DATA_TAG
  let at = 1
  let rest = data.length
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80
  bytes[at++] = rest
  bytes.set(data, at)
  return bytes.subarray(0, at + data.length)
}

function decodeChunk(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes
  let length = 0
  let at = 1
  for (let shift = 0; at < HEAD_BYTES_MAX && shift < 28; shift += 7) {
    const byte = bytes[at++] ?? 0
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  if (bytes[0] === DATA_TAG && at + length === bytes.length && (bytes[at - 1] ?? 0x80) < 0x80) {
    return bytes.subarray(at)
  }
  return BlobChunk.decode(bytes).data // written by someone who does it in another way
}
