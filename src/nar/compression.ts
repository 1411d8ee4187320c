/** The compressions that NARs and documents are taken in, by the names that narinfos give them. */
export const COMPRESSIONS = ['none', 'xz', 'zstd', 'bzip2', 'gzip', 'br'] as const

/** Those that we can write, too: there is no good encoder of bzip2 for Node. */
export const ENCODINGS = ['none', 'zstd', 'xz', 'gzip', 'br'] as const

/** One of these. */
export type Compression = (typeof COMPRESSIONS)[number]

const ENDINGS: readonly (readonly [ending: string, compression: Compression])[] = [
  ['.nar', 'none'],
  ['.nar.xz', 'xz'],
  ['.nar.zst', 'zstd'],
  ['.nar.bz2', 'bzip2'],
  ['.nar.gz', 'gzip'],
  ['.nar.br', 'br'],
]

/** What compressed streams begin with, and NARs: their first word. Brotli has nothing. */
const MAGICS: readonly (readonly [compression: Compression, magic: Buffer])[] = [
  ['none', Buffer.from('0d00000000000000', 'hex')],
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['zstd', Buffer.from('28b52ffd', 'hex')],
  ['bzip2', Buffer.from('BZh')],
  ['gzip', Buffer.from('1f8b', 'hex')],
]

const MAGIC_BYTES = 8

/** The ending of names of NAR files that are compressed so, `.nar` included. */
export function endingOf(compression: Compression): string {
  return ENDINGS.find(([, it]) => it === compression)![0]
}

/** Which compression a file name's ending says, undefined where it is none that is known. */
export function compressionOf(fileName: string): Compression | undefined {
  return ENDINGS.find(([ending]) => fileName.endsWith(ending))?.[1]
}

/**
 * Which compression a Content-Encoding header says, undefined where it is none that is known; the
 * names are those of RFC 9110 §8.4.1, and those that Nix uses.
 */
export function compressionOfCoding(contentEncoding: string | undefined): Compression | undefined {
  const coding = (contentEncoding ?? 'identity').trim().toLowerCase()
  if (coding === 'identity' || coding === '') return 'none'
  if (coding === 'x-gzip') return 'gzip'
  return COMPRESSIONS.find((it) => it === coding)
}

/** A stream whose first bytes were looked at, and what they show. */
export interface Looked {
  readonly compression: Compression
  /** The whole stream, from its first byte. */
  readonly source: AsyncIterable<Uint8Array>
}

/**
 * Which compression the first bytes of a stream show. Nix 2.8 puts no ending on the names of files
 * that it compresses with gzip.
 */
export async function compressionShownBy(source: AsyncIterable<Uint8Array>): Promise<Looked> {
  const rest = source[Symbol.asyncIterator]()
  const pieces: Uint8Array[] = []
  let bytes = 0
  while (bytes < MAGIC_BYTES) {
    const next = await rest.next()
    if (next.done === true) break
    pieces.push(next.value)
    bytes += next.value.length
  }
  const head = Buffer.concat(pieces)
  const shown = MAGICS.find(([, magic]) => head.subarray(0, magic.length).equals(magic))
  return { compression: shown?.[0] ?? 'none', source: joined(pieces, rest) }
}

async function* joined(
  pieces: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      yield next.value
    }
  } finally {
    await rest.return?.()
  }
}
