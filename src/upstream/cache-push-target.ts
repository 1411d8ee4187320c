import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Call } from '../foundation/call.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import type { Spool, SpoolStore } from '../foundation/spool.ts'
import { compressed, type Encoding } from '../nar/compressed.ts'
import { endingOf } from '../nar/compression.ts'
import { type NarSource, renderNar } from '../nar/render-nar.ts'
import { CACHE_INFO_NAME } from '../nix/cache-info.ts'
import { renderNarInfo } from '../nix/nar-info.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import { STORE_DIRECTORY, type StorePath } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { Publish, PushTarget } from '../substitution/push-target.ts'
import { CacheError } from './cache-error.ts'
import type { CacheFiles } from './cache-files.ts'

/** How many files of a cache are asked for at once. */
export const CACHE_QUESTIONS_MAX = 16

/** How much of a spooled NAR is sent at a time, in bytes. */
const PIECE_BYTES = 256 * 1024

/** What it works with. */
export interface CachePushTargetComponents {
  readonly files: CacheFiles
  /** Where the content is that goes there. */
  readonly contents: NarSource
  /** Where a NAR waits once it is compressed: its name there is the hash of what came of that. */
  readonly spools: SpoolStore
}

/**
 * Pushes to a binary cache, as Nix lays it out: the NAR first, under the hash of its file, then the
 * narinfo. A cache that is empty is told what it is for.
 */
export class CachePushTarget implements PushTarget {
  readonly name: string
  readonly #components: CachePushTargetComponents
  readonly #encoding: Encoding
  #described: Promise<void> | undefined

  constructor(components: CachePushTargetComponents, init: { readonly encoding: Encoding }) {
    this.name = components.files.name
    this.#components = components
    this.#encoding = init.encoding
  }

  async holds(storePaths: readonly StorePath[], call: Call): Promise<boolean[]> {
    const { files } = this.#components
    const answers: boolean[] = []
    const ask = (it: StorePath): Promise<boolean> => files.has(narInfoName(it), call)
    for await (const isHeld of readAhead(storePaths, CACHE_QUESTIONS_MAX - 1, ask)) {
      answers.push(isHeld)
    }
    return answers
  }

  isFinal(error: unknown): boolean {
    return error instanceof CacheError && error.fault.code === 'refused'
  }

  async upload(pathInfo: PathInfo, onBytes: (bytes: number) => void, call: Call): Promise<Publish> {
    const { files, spools } = this.#components
    this.#described ??= this.#describe(call)
    try {
      await this.#described
    } catch (error) {
      this.#described = undefined // the next attempt tries it anew
      throw error
    }
    await using spool = await spools.open()
    const { fileSha256, fileSize } = await this.#spool(pathInfo, spool, onBytes, call)
    const url = `nar/${encodeNixBase32(fileSha256)}${endingOf(this.#encoding)}`
    if (!(await files.has(url, call))) {
      const body = { size: fileSize, open: () => spooled(spool, fileSize) }
      await files.put(url, body, 'application/x-nix-nar', call)
    }
    const fileHash = { algorithm: 'sha256', bytes: fileSha256 } as const
    const info = { ...pathInfo, url, compression: this.#encoding, fileHash, fileSize }
    const text = Buffer.from(renderNarInfo(info))
    return (again) => putText(files, narInfoName(pathInfo.storePath), text, NAR_INFO_TYPE, again)
  }

  /** Compresses a NAR into a spool, and hashes what comes of it. */
  async #spool(
    { node, narSize }: PathInfo,
    spool: Spool,
    onBytes: (bytes: number) => void,
    call: Call,
  ): Promise<{ fileSha256: Uint8Array; fileSize: number }> {
    const counted = async function* (nar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const piece of nar) {
        onBytes(piece.length)
        yield piece
      }
    }
    const nar = counted(renderNar(node, this.#components.contents, call))
    const hash = createHash('sha256')
    let fileSize = 0
    const source = Readable.from(nar, { objectMode: false })
    for await (const piece of compressed(source, this.#encoding) as AsyncIterable<Uint8Array>) {
      call.signal.throwIfAborted()
      hash.update(piece)
      fileSize += piece.length
      await spool.append(piece)
    }
    if (fileSize === 0) throw new Error(`the NAR of ${narSize} bytes became nothing`)
    return { fileSha256: Uint8Array.from(hash.digest()), fileSize }
  }

  /** Nix reads a cache only where it says what it is for. */
  async #describe(call: Call): Promise<void> {
    const { files } = this.#components
    if (await files.has(CACHE_INFO_NAME, call)) return
    const text = Buffer.from(`StoreDir: ${STORE_DIRECTORY}\n`)
    await putText(files, CACHE_INFO_NAME, text, 'text/x-nix-cache-info', call)
  }
}

const NAR_INFO_TYPE = 'text/x-nix-narinfo'

async function putText(
  files: CacheFiles,
  name: string,
  text: Buffer,
  type: string,
  call: Call,
): Promise<void> {
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield text
  }
  await files.put(name, { size: text.length, open }, type, call)
}

async function* spooled(spool: Spool, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; ) {
    const piece = await spool.read(at, PIECE_BYTES)
    at += piece.length
    yield piece
  }
}

function narInfoName({ hashText }: StorePath): string {
  return `${hashText}.narinfo`
}
