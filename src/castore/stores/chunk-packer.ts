import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib'
import type { PackedBytes } from '../record-store.ts'
import { PACKED_WINDOW_LOG } from './record-content.ts'

/** Level of compression where none is asked for; test/bench/README.md has what others give. */
export const PACKING_LEVEL = 1

/** Chunks of fewer bytes are stored as they are: what they would save is not worth it. */
export const PACKED_BYTES_MIN = 512

/** Chunks longer than this, which nobody's chunker makes, are stored as they are, in bytes. */
export const PACKED_CHUNK_BYTES_MAX = 2 ** PACKED_WINDOW_LOG

/** The part of its length that packing a chunk has to save. */
const SAVED_MIN = 0.1

/** How many of a chunk's first bytes are looked at. */
const SAMPLE_BYTES = 4096

/**
 * Bits a byte of the sample from which on a chunk counts as compressed already. Random bytes come
 * to 7.95 in a sample of this length, machine code to about 6, text to 5.
 */
const ENTROPY_MAX = 7.8

/** Chunks up to this many bytes are packed at once: handing them to a thread costs more. */
const AT_ONCE_BYTES_MAX = 16 * 1024

const compress = promisify(zstdCompress)

/** Packs chunks with zstd where that pays. */
export class ChunkPacker {
  readonly #level: number

  /** Level 0 packs nothing. */
  constructor(_components: object = {}, init: { level?: number } = {}) {
    this.#level = init.level ?? PACKING_LEVEL
  }

  /** A shorter form of these bytes, or undefined where they are best stored as they are. */
  pack(bytes: Uint8Array): PackedBytes | undefined | Promise<PackedBytes | undefined> {
    if (this.#level === 0 || bytes.length < PACKED_BYTES_MIN) return undefined
    if (bytes.length > PACKED_CHUNK_BYTES_MAX) return undefined
    if (entropyOf(bytes.subarray(0, SAMPLE_BYTES)) > ENTROPY_MAX) return undefined
    const params = {
      [constants.ZSTD_c_compressionLevel]: this.#level,
      [constants.ZSTD_c_windowLog]: PACKED_WINDOW_LOG,
    }
    // Room for all that is worth keeping: one call, one buffer.
    const options = { params, chunkSize: Math.max(bytes.length, 64) }
    if (bytes.length <= AT_ONCE_BYTES_MAX) return ifShorter(zstdCompressSync(bytes, options), bytes)
    return compress(bytes, options).then((packed) => ifShorter(packed, bytes))
  }
}

function ifShorter(packed: Uint8Array, bytes: Uint8Array): PackedBytes | undefined {
  const isWorth = packed.length <= bytes.length * (1 - SAVED_MIN)
  return isWorth ? { packing: 'zstd', bytes: packed } : undefined
}

/** How often each byte was seen: one array for all, since every small file is looked at. */
const counts = new Uint32Array(256)

/** n · log2(n) by n. */
const nLogN = Float64Array.from({ length: SAMPLE_BYTES + 1 }, (_, n) => n * Math.log2(n || 1))

/** Shannon's entropy of single bytes, in bits a byte. */
function entropyOf(sample: Uint8Array): number {
  const { length } = sample
  counts.fill(0)
  for (let i = 0; i < length; i++) counts[sample[i]!]!++
  let sum = 0
  for (let byte = 0; byte < 256; byte++) sum += nLogN[counts[byte]!]!
  return Math.log2(length) - sum / length
}
