import { once } from 'node:events'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { createUnxz } from 'node-liblzma'

/** The compressions that NARs are taken in, by the names that narinfos give them. */
export const COMPRESSIONS = ['none', 'xz', 'zstd', 'gzip'] as const

/** One of these. */
export type Compression = (typeof COMPRESSIONS)[number]

/** Memory that an xz stream may make its decoder use, in bytes; `xz -9` needs 65 MiB. */
export const XZ_MEMORY_BYTES_MAX = 128 * 1024 * 1024

/** The largest window of a zstd stream, as a power of two: 128 MiB, what zstd itself allows. */
const ZSTD_WINDOW_LOG_MAX = 27

/** What compressed streams begin with, and NARs: the length of their first word. */
const MAGICS: Readonly<Record<Compression, Buffer>> = {
  none: Buffer.from('0d00000000000000', 'hex'),
  xz: Buffer.from('fd377a585a00', 'hex'),
  zstd: Buffer.from('28b52ffd', 'hex'),
  gzip: Buffer.from('1f8b', 'hex'),
}

const MAGIC_BYTES = 8

/** Which compression a file name's ending says, undefined where it is none that is known. */
export function compressionOf(fileName: string): Compression | undefined {
  if (fileName.endsWith('.nar')) return 'none'
  if (fileName.endsWith('.nar.xz')) return 'xz'
  if (fileName.endsWith('.nar.zst')) return 'zstd'
  if (fileName.endsWith('.nar.gz')) return 'gzip'
  return undefined
}

/**
 * Which compression the first bytes of a stream show; they stay in it. Nix 2.8 puts no ending on
 * the names of files that it compresses with gzip.
 */
export async function compressionShownBy(source: Readable): Promise<Compression> {
  if (source.readableLength === 0) await readable(source)
  const head: Buffer | null = source.read(MAGIC_BYTES) ?? source.read()
  if (head === null) return 'none'
  source.unshift(head)
  return COMPRESSIONS.find((it) => head.subarray(0, MAGICS[it].length).equals(MAGICS[it])) ?? 'none'
}

/** Resolves once there is something to read, or nothing will come. @throws the stream's error */
async function readable(source: Readable): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  try {
    await Promise.race([once(source, 'readable', { signal }), once(source, 'close', { signal })])
  } finally {
    over.abort()
  }
}

/**
 * The content of a compressed stream, as it comes; the source is read no faster than that.
 * @throws what the decoder says of a stream that is malformed or truncated
 */
export function decompressed(source: Readable, compression: Compression): Readable {
  const decoder = decoderOf(compression)
  if (decoder === undefined) return source
  // An error of either end destroys the decoder with it, so whoever reads from it is told.
  return pipeline(source, decoder, () => undefined)
}

function decoderOf(compression: Compression): Transform | undefined {
  switch (compression) {
    case 'none':
      return undefined
    case 'xz':
      // Its typings narrow the events of a Transform, which it is.
      return createUnxz({ memlimit: XZ_MEMORY_BYTES_MAX }) as unknown as Transform
    case 'gzip':
      return createGunzip()
    case 'zstd':
      return createZstdDecompress({
        params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
      })
  }
}
