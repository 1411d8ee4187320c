import type { Digest } from '../../foundation/digest.ts'
import { type ExpectedSubtree, expectedHalves, expectedRoot } from './expected-subtree.ts'
import { fastestSubtreeHasher } from './fastest-subtree-hasher.ts'
import { checkGroups } from './group-check.ts'
import { ProofError } from './proof-error.ts'
import type { ByteRange } from './range-prover.ts'
import { halvesOf, PARENT_BYTES, type Subtree, TreeShape } from './tree-shape.ts'

/** Length of the header of bao's encodings: the blob's size, little-endian, in bytes. */
export const BAO_HEADER_BYTES = 8

/** The binary logarithm of the leaves in bao's own groups, which are single leaves. */
export const BAO_GROUP_LOG = 0

/** An outboard and the size of its blob, as they stand in one file of bao's. */
export interface HeadedOutboard {
  readonly size: number
  readonly outboard: Uint8Array
}

/** An outboard with bao's header before it, which bao-tree and iroh leave away. */
export function encodeHeadedOutboard({ size, outboard }: HeadedOutboard): Uint8Array {
  return Buffer.concat([encodeHeader(size), outboard])
}

/**
 * Takes the header off an outboard. Whether the rest has the right length is not looked at.
 * @throws ProofError 'bytes-missing' where it is not even a header
 */
export function decodeHeadedOutboard(encoded: Uint8Array): HeadedOutboard {
  return { size: decodeHeader(encoded), outboard: encoded.subarray(BAO_HEADER_BYTES) }
}

/**
 * Bao's slice of a blob, with the proof of a range in it: the header, and in pre-order the parents
 * above the range's groups and these groups. The slice of the whole blob is bao's combined
 * encoding. As bao has it, an empty range is one of a byte, and one behind the end proves the last
 * group, and with it the size.
 */
export function encodeSlice(
  content: Uint8Array,
  outboard: Uint8Array,
  range: ByteRange,
  groupLog: number = BAO_GROUP_LOG,
): Uint8Array {
  const shape = new TreeShape(content.length, groupLog)
  const parts: Uint8Array[] = [encodeHeader(content.length)]
  const visit = (subtree: Subtree): void => {
    if (!isInSlice(subtree, shape, range)) return
    if (subtree.groups === 1) {
      const { from, to } = shape.spanOf(subtree.firstGroup)
      parts.push(content.subarray(from, to))
      return
    }
    const at = subtree.parent * PARENT_BYTES
    parts.push(outboard.subarray(at, at + PARENT_BYTES))
    for (const half of halvesOf(subtree)) visit(half)
  }
  visit(shape.root)
  return Buffer.concat(parts)
}

/**
 * The bytes of a range, proven by a slice that was made for just that range.
 * @throws ProofError where the slice does not prove them
 */
export function decodeSlice(
  digest: Digest,
  slice: Uint8Array,
  range: ByteRange,
  groupLog: number = BAO_GROUP_LOG,
): Uint8Array {
  const shape = new TreeShape(decodeHeader(slice), groupLog)
  const hasher = fastestSubtreeHasher()
  const parts: Uint8Array[] = []
  let at = BAO_HEADER_BYTES
  const take = (bytes: number): Uint8Array => {
    if (bytes > slice.length - at) throw missing(slice.length)
    at += bytes
    return slice.subarray(at - bytes, at)
  }
  const visit = (expected: ExpectedSubtree): void => {
    const { subtree, value } = expected
    if (!isInSlice(subtree, shape, range)) return
    if (subtree.groups > 1) {
      for (const half of expectedHalves(expected, take(PARENT_BYTES), shape, hasher)) visit(half)
      return
    }
    const { from, to } = shape.spanOf(subtree.firstGroup)
    const bytes = take(to - from)
    checkGroups(bytes, subtree.firstGroup, [value], shape, hasher)
    const begin = Math.max(range.offset - from, 0)
    parts.push(bytes.subarray(begin, Math.max(range.offset + range.length - from, 0)))
  }
  visit(expectedRoot(shape, digest))
  if (at < slice.length) {
    throw new ProofError({ code: 'bytes-beyond', at }, `the slice goes on behind byte ${at}`)
  }
  return Buffer.concat(parts)
}

function isInSlice(subtree: Subtree, shape: TreeShape, range: ByteRange): boolean {
  const from = shape.spanOf(subtree.firstGroup).from
  const { to } = shape.spanOf(subtree.firstGroup + subtree.groups - 1)
  if (range.offset >= shape.size) return to === shape.size
  return from < range.offset + Math.max(range.length, 1) && range.offset < to
}

function encodeHeader(size: number): Uint8Array {
  const header = Buffer.alloc(BAO_HEADER_BYTES)
  header.writeBigUInt64LE(BigInt(size))
  return header
}

function decodeHeader(encoded: Uint8Array): number {
  if (encoded.length < BAO_HEADER_BYTES) throw missing(encoded.length)
  const view = new DataView(encoded.buffer, encoded.byteOffset, BAO_HEADER_BYTES)
  return Number(view.getBigUint64(0, true)) // what is no safe integer is refused as a size
}

function missing(at: number): ProofError {
  return new ProofError({ code: 'bytes-missing', at }, `the encoding ends at byte ${at}`)
}
