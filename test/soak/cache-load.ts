import { randomBytes } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { encodeNixBase32 } from '../../src/nix/nix-base32.ts'
import { STORE_PATH_HASH_BYTES } from '../../src/nix/store-path.ts'
import type { CachedPath } from '../fixtures/cached-path.ts'
import type { DaemonProcess } from '../fixtures/daemon-process.ts'
import type { ChangingCache } from './changing-cache.ts'

/** How many clients are at it at once: the nodes have enough to do for neighbours as it is. */
const WORKERS = 1

/** How many questions for what nobody has are asked in a row. */
const MISSES = 10

/** How long a busy node may take to hear of what has just come to the cache, in ms. */
const NEWS_MS = 1_000

/** What clients of a cache behind a node did. */
export interface CacheActs {
  /** Paths that came whole. */
  readonly whole: number
  /** Clients that left with a part, while another one took the same path whole. */
  readonly left: number
  /** Questions for what nobody has. */
  readonly misses: number
  /** Paths that went from the cache between the question and the download. */
  readonly gone: number
  /** Paths that were there, and could not be had. */
  readonly failures: readonly string[]
}

/** Gets paths of a changing cache through a node, in all ways that clients have. */
export class CacheLoad {
  readonly #node: DaemonProcess
  readonly #cache: ChangingCache
  #next = 1

  constructor(components: { node: DaemonProcess; cache: ChangingCache }) {
    this.#node = components.node
    this.#cache = components.cache
  }

  /** Goes on for so many milliseconds. @throws where a wrong byte comes, or what can not be there */
  async run(ms: number): Promise<CacheActs> {
    const endMs = performance.now() + ms
    const acts = { whole: 0, left: 0, misses: 0, gone: 0, failures: [] as string[] }
    const worker = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const number = this.#next++
        const path = this.#cache.come(number)
        const failure = await this.#act(path, number, acts)
        if (failure !== undefined) acts.failures.push(`${path.storePath}: ${failure}`)
        this.#cache.go(path)
        acts.misses += await this.#miss()
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, worker))
    return acts
  }

  async #act(
    path: CachedPath,
    number: number,
    acts: { whole: number; left: number; gone: number },
  ): Promise<string | undefined> {
    const url = await this.#described(path)
    if (url === undefined) return 'no narinfo'
    if (number % 4 === 3) {
      this.#cache.go(path, 'NAR')
      const { status } = await taken(url, path)
      if (status === 200) throw new Error(`${path.storePath} came from nowhere`)
      acts.gone++
      return undefined
    }
    const leaver = number % 3 === 0 ? taken(url, path, 1) : undefined
    const { status, bytes } = await taken(url, path)
    if (leaver !== undefined) {
      await leaver
      acts.left++
    }
    if (status !== 200 || bytes !== path.nar.length) return `NAR ${status}, ${bytes} bytes`
    acts.whole++
    return undefined
  }

  /** Where the NAR is to be had; undefined where the node does not hear of the path in time. */
  async #described({ storePath }: CachedPath): Promise<string | undefined> {
    const { gatewayUrl } = this.#node
    const endMs = performance.now() + NEWS_MS
    do {
      const { status, body } = await asked(`${gatewayUrl}/${storePath.hashText}.narinfo`)
      if (status === 200) return `${gatewayUrl}/${parseNarInfo(body).url}`
    } while (performance.now() < endMs)
    return undefined
  }

  async #miss(): Promise<number> {
    for (let i = 0; i < MISSES; i++) {
      const hash = encodeNixBase32(randomBytes(STORE_PATH_HASH_BYTES))
      const { status } = await asked(`${this.#node.gatewayUrl}/${hash}.narinfo`)
      if (status === 200) throw new Error(`${hash} is there, which nobody has`)
    }
    return MISSES
  }
}

interface Outcome {
  /** Of the answer; what broke the connection where that broke. */
  readonly status: number | string
  readonly bytes: number
}

/** Downloads a NAR, or leaves after so many pieces of it. @throws where a byte is wrong */
async function taken(url: string, { nar, storePath }: CachedPath, pieces = 0): Promise<Outcome> {
  let bytes = 0
  let left = pieces
  try {
    const answer = await opened(url)
    const { statusCode: status } = answer
    for await (const piece of answer as AsyncIterable<Buffer>) {
      if (status !== 200) continue
      if (!piece.equals(nar.subarray(bytes, bytes + piece.length))) {
        throw new WrongBytes(`${storePath} came with wrong bytes`)
      }
      bytes += piece.length
      if (--left === 0) break // which closes the connection
    }
    return { status: status!, bytes }
  } catch (error) {
    if (error instanceof WrongBytes) throw error
    return { status: `${error}`, bytes }
  }
}

class WrongBytes extends Error {}

async function asked(url: string): Promise<{ status: number | string; body: string }> {
  try {
    const answer = await opened(url)
    let body = ''
    for await (const piece of answer.setEncoding('utf8')) body += piece
    return { status: answer.statusCode!, body }
  } catch (error) {
    return { status: `${error}`, body: '' } // the hostile may take up all connections
  }
}

async function opened(url: string): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => get(url, resolve).on('error', reject))
}
