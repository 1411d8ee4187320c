import { equalBytes, utf8Text } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { RateLimit } from '../foundation/rate-limit.ts'
import { COMPRESSIONS, type Compression } from '../nar/compression.ts'
import { decompressed } from '../nar/decompression.ts'
import { NarError } from '../nar/nar-error.ts'
import {
  CACHE_INFO_LENGTH_MAX,
  CACHE_INFO_NAME,
  type CacheInfo,
  parseCacheInfo,
} from '../nix/cache-info.ts'
import { NAR_INFO_LENGTH_MAX, type NarInfo, parseNarInfo } from '../nix/nar-info.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import { NixError } from '../nix/nix-error.ts'
import { STORE_DIRECTORY } from '../nix/store-path.ts'
import type { FetchProgress } from '../substitution/fetch-progress.ts'
import { type CacheError, cacheError, cutOff } from './cache-error.ts'
import type { CacheFile, CacheReader } from './cache-files.ts'

/**
 * By how much a compressed NAR may be longer than the NAR, in bytes, where a narinfo does not say
 * how long it is: what can not be compressed grows by a little.
 */
export const FILE_EXCESS_BYTES_MAX = 1024 * 1024

/** And by how much of the NAR's own length. */
const FILE_EXCESS_RATIO = 0.1

/** What the cache is read by. */
export interface BinaryCacheComponents {
  readonly files: CacheReader
  /** How much of its NARs may come in a second; unlimited without one. */
  readonly rate?: RateLimit | undefined
}

/** A binary cache: what Nix's own caches look like, over files from wherever. */
export class BinaryCache {
  readonly name: string
  readonly #files: CacheReader
  readonly #rate: RateLimit | undefined
  readonly #storeDirectory: string

  /** `storeDirectory` is the one that its paths must be of, {@link STORE_DIRECTORY} by default. */
  constructor(
    components: BinaryCacheComponents,
    init: { readonly storeDirectory?: string | undefined } = {},
  ) {
    this.name = components.files.name
    this.#files = components.files
    this.#rate = components.rate
    this.#storeDirectory = init.storeDirectory ?? STORE_DIRECTORY
  }

  /** What the cache says of itself. @throws CacheError; 'no-cache' where it is none of ours */
  async info(call: Call): Promise<CacheInfo> {
    const text = await this.#text(CACHE_INFO_NAME, CACHE_INFO_LENGTH_MAX, call)
    if (text === undefined) {
      throw cacheError('no-cache', this.name, `is no binary cache: it has no ${CACHE_INFO_NAME}`)
    }
    let info: CacheInfo
    try {
      info = parseCacheInfo(text)
    } catch (error) {
      if (!(error instanceof NixError)) throw error
      throw cacheError('no-cache', this.name, `is no binary cache: ${error.message}`, error)
    }
    if (info.storeDirectory.replace(/\/+$/, '') !== this.#storeDirectory) {
      const theirs = JSON.stringify(info.storeDirectory.slice(0, 256))
      const what = `has paths of ${theirs}, where ours are of ${this.#storeDirectory}`
      throw cacheError('no-cache', this.name, what)
    }
    return info
  }

  /** What the cache says of a path; undefined where it has none of that hash. @throws CacheError */
  async narInfo(hash: Uint8Array, call: Call): Promise<NarInfo | undefined> {
    const name = `${encodeNixBase32(hash)}.narinfo`
    const text = await this.#text(name, NAR_INFO_LENGTH_MAX, call)
    if (text === undefined) return undefined
    let info: NarInfo
    try {
      info = parseNarInfo(text)
    } catch (error) {
      if (!(error instanceof NixError)) throw error
      throw this.#wrong(`has a ${name} that can not be read: ${error.message}`, error)
    }
    if (equalBytes(info.storePath.hash, hash)) return info
    throw this.#wrong(`has a ${name} of another path, ${info.storePath}`)
  }

  /**
   * The NAR that a narinfo names, decompressed. Its length and that of the file are what the
   * narinfo says, or its end is an error. The hash of the NAR is for others to check, and makes
   * that of the file needless, as for Nix.
   * @throws CacheError
   */
  async *nar(info: NarInfo, progress: FetchProgress, call: Call): AsyncGenerator<Uint8Array> {
    const compression = this.#compressionOf(info)
    const file = await this.#files.get(info.url, call)
    if (file === undefined) {
      const what = `has the narinfo of ${info.storePath}, but not the NAR that it names`
      throw cacheError('nar-absent', this.name, what)
    }
    progress.bytesTotal = info.narSize
    progress.bytesDone = 0
    progress.peers.add(this.name)
    const expected = info.fileSize ?? (compression === 'none' ? info.narSize : undefined)
    if (file.size !== undefined && expected !== undefined && file.size !== expected) {
      throw this.#wrong(`has a NAR in a file of ${file.size} bytes, where it says ${expected}`)
    }
    const checked = this.#checked(file, info, expected, progress, call)
    try {
      for await (const piece of decompressed(checked, compression, {
        outputBytesMax: info.narSize,
      })) {
        progress.bytesDone += piece.length
        yield piece
      }
    } catch (error) {
      if (!(error instanceof NarError)) throw error
      throw this.#wrong(`has a NAR that can not be read: ${error.message}`, error)
    }
    if (progress.bytesDone === info.narSize) return
    const what = `has a NAR of ${progress.bytesDone} bytes, where it says ${info.narSize}`
    throw this.#wrong(what)
  }

  /** The file of a NAR as it comes, held against what the narinfo says of it. */
  async *#checked(
    file: CacheFile,
    { narSize }: NarInfo,
    expected: number | undefined,
    progress: FetchProgress,
    call: Call,
  ): AsyncGenerator<Uint8Array> {
    const most = expected ?? Math.ceil(narSize * (1 + FILE_EXCESS_RATIO)) + FILE_EXCESS_BYTES_MAX
    let bytes = 0
    for await (const piece of file.bytes) {
      bytes += piece.length
      if (bytes > most) throw this.#wrong(`has a NAR in a file of more than ${most} bytes`)
      await this.#rate?.pass(piece.length, call)
      progress.bytesFetched += piece.length
      yield piece
    }
    if (expected !== undefined && bytes !== expected) {
      throw cutOff(this.name, `ended a file of ${expected} bytes`, bytes)
    }
  }

  #compressionOf({ compression, storePath }: NarInfo): Compression {
    const known = COMPRESSIONS.find((it) => it === compression)
    if (known !== undefined) return known
    const shown = JSON.stringify(compression.slice(0, 64))
    const right = COMPRESSIONS.join(', ')
    throw this.#wrong(`has ${storePath} compressed by ${shown}, where we know ${right}`)
  }

  /** A short file as text. */
  async #text(name: string, lengthMax: number, call: Call): Promise<string | undefined> {
    const file = await this.#files.get(name, call)
    if (file === undefined) return undefined
    const pieces: Uint8Array[] = []
    let length = 0
    try {
      for await (const piece of file.bytes) {
        length += piece.length
        if (length > lengthMax) throw this.#wrong(`has a ${name} of more than ${lengthMax} bytes`)
        pieces.push(piece)
      }
    } catch (error) {
      if (!(error instanceof NarError)) throw error
      throw this.#wrong(`has a ${name} that can not be read: ${error.message}`, error)
    }
    const text = utf8Text(Buffer.concat(pieces))
    if (text === undefined) throw this.#wrong(`has a ${name} that is no text`)
    return text
  }

  #wrong(what: string, cause?: unknown): CacheError {
    return cacheError('wrong-content', this.name, what, cause)
  }
}
