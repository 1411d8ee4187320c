import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { xzAsync } from 'node-liblzma'
import type { Compression } from '../../../src/nar/compression.ts'
import { decompressed } from '../../../src/nar/decompression.ts'
import { NarError } from '../../../src/nar/nar-error.ts'
import { allBytes, noise } from '../../fixtures/content.ts'
import { inPieces, narOf, SMALL } from '../../nar/trees.ts'
import { Broken, type FuzzTarget, holds } from '../fuzz-target.ts'

/** No mutated stream may become longer than this. */
const OUTPUT_BYTES_MAX = 1024 * 1024

const PLAIN = [narOf(SMALL), Buffer.alloc(100_000), noise(3_000)]

// `BZh9` and the end of a stream of no blocks, by the format's description: nothing here writes it.
const EMPTY_BZIP2 = Buffer.from('425a683917724538509000000000', 'hex')

const SEEDS: Readonly<Record<Exclude<Compression, 'none'>, readonly Uint8Array[]>> = {
  gzip: PLAIN.map((it) => gzipSync(it)),
  br: PLAIN.map((it) => brotliCompressSync(it)),
  zstd: [
    ...PLAIN.map((it) => zstdCompressSync(it)),
    Buffer.concat([zstdCompressSync(PLAIN[0]!), zstdCompressSync(PLAIN[2]!)]),
  ],
  xz: await Promise.all(PLAIN.map((it) => xzAsync(it, { preset: 1 }))),
  bzip2: [EMPTY_BZIP2],
}

/** A target for a decoder: whole or in pieces the same comes out, and never too much of it. */
function target(compression: Exclude<Compression, 'none'>): FuzzTarget {
  return {
    name: compression,
    seeds: SEEDS[compression],
    dictionary: [SEEDS[compression][0]!.subarray(0, 8), Buffer.from('184d2a50', 'hex')],
    testRuns: 400,
    isRefusal: (error) => error instanceof NarError,
    check: async (input) => {
      const whole = await outcome(input, compression, Math.max(input.length, 1))
      const cut = await outcome(input, compression, 1 + (input.length % 61))
      holds(whole.text === cut.text, `${whole.text} in one piece, ${cut.text} in several`)
      if (whole.error !== undefined) throw whole.error
    },
  }
}

async function outcome(
  input: Uint8Array,
  compression: Compression,
  pieceBytes: number,
): Promise<{ text: string; error: unknown }> {
  const init = { outputBytesMax: OUTPUT_BYTES_MAX, allowanceBytes: OUTPUT_BYTES_MAX }
  try {
    const bytes = await allBytes(decompressed(inPieces(input, [pieceBytes]), compression, init))
    if (bytes.length > OUTPUT_BYTES_MAX) throw new Broken('more came out than was allowed')
    return {
      text: `${bytes.length} bytes ending with ${bytes.toString('hex', bytes.length - 8)}`,
      error: undefined,
    }
  } catch (error) {
    // Which of several flaws is found first may depend on the pieces.
    return { text: error instanceof NarError ? 'refused' : String(error), error }
  }
}

export const COMPRESSION_TARGETS: readonly FuzzTarget[] = (
  ['gzip', 'br', 'zstd', 'xz', 'bzip2'] as const
).map(target)
