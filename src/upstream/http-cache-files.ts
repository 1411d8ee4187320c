import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
// Types only: the package takes 50 ms to load, and nodes without such caches do not pay for that.
import type { Dispatcher } from 'undici'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { compressionOfCoding } from '../nar/compression.ts'
import { decompressed } from '../nar/decompression.ts'
import { type CacheError, cacheError } from './cache-error.ts'
import { checkCacheFileNameLength } from './cache-file-name.ts'
import type { CacheFile, CacheFileBody, CacheFiles } from './cache-files.ts'
import {
  contentLengthOf,
  contentRangeOf,
  errorOfRequest,
  errorOfStatus,
  isAbsent,
  isStaleConnection,
  redirectTarget,
} from './http-answer.ts'
import type { Credentials, Netrc } from './netrc.ts'
import { resumedBody } from './resumed-body.ts'
import { sentBody } from './whole-body.ts'

/** How many connections a cache is asked on at once, by default; Nix has 25. */
export const UPSTREAM_CONNECTIONS_MAX = 25

/** Longest wait for a connection to a cache, TLS included, in milliseconds, by default. */
export const UPSTREAM_CONNECT_MS = 5_000

/** Longest wait for the beginning of a cache's answer, in milliseconds, by default. */
export const UPSTREAM_ANSWER_MS = 15_000

/** How long the body of a cache's answer may stand still, in milliseconds, by default. */
export const UPSTREAM_STALL_MS = 30_000

/** How many redirects are followed one after another. */
export const REDIRECTS_MAX = 5

/** How much of a body is read before anybody asks for it, in bytes. */
const BODY_AHEAD_BYTES = 256 * 1024

/** Bytes of the longest answer that is read only so that its connection can be used again. */
const DISCARDED_BYTES = 64 * 1024

/** How one cache is waited for. */
export interface UpstreamLimits {
  /** {@link UPSTREAM_CONNECTIONS_MAX} by default. */
  readonly connectionsMax?: number | undefined
  /** In ms; {@link UPSTREAM_CONNECT_MS} by default. */
  readonly connectMs?: number | undefined
  /** In ms; {@link UPSTREAM_ANSWER_MS} by default. */
  readonly answerMs?: number | undefined
  /** In ms; {@link UPSTREAM_STALL_MS} by default. */
  readonly stallMs?: number | undefined
}

/** What to ask, and as whom. */
export interface HttpCacheInit extends UpstreamLimits {
  readonly name: string
  /** Ends with a slash. */
  readonly base: URL
  /** Those of the URL, which count before those of the netrc file. */
  readonly credentials?: Credentials | undefined
  /** Names proxies, as curl has it: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Dispatcher.ResponseData['body']
}

/** A cache behind HTTP. A body that breaks off is continued where the cache can do that. */
export class HttpCacheFiles implements CacheFiles {
  readonly name: string
  readonly #clock: Clock
  readonly #base: URL
  readonly #authorization: string | undefined
  readonly #init: HttpCacheInit
  #agent: Promise<Dispatcher> | undefined

  constructor(components: { readonly clock: Clock; readonly netrc: Netrc }, init: HttpCacheInit) {
    this.name = init.name
    this.#clock = components.clock
    this.#base = init.base
    this.#authorization = basic(
      init.credentials ?? components.netrc.credentialsFor(init.base.hostname),
    )
    this.#init = init
  }

  async get(name: string, call: Call, offset = 0): Promise<CacheFile | undefined> {
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
    const answer = await this.#ask('GET', name, range, call)
    const { status, headers } = answer
    if (isAbsent(status)) {
      await this.#discard(answer)
      return undefined
    }
    if (status === 416) {
      await this.#discard(answer)
      return { bytes: nothing() } // it has no more than that
    }
    if (status !== 200 && status !== 206) throw await this.#failed(name, answer)
    const part = status === 206 ? contentRangeOf(headers['content-range']) : undefined
    if (status === 206 && part?.from !== offset) {
      await this.#discard(answer)
      throw cacheError('broken', this.name, `sent another part of ${name} than it was asked for`)
    }
    return this.#file(name, answer, { offset, part }, call)
  }

  async has(name: string, call: Call): Promise<boolean> {
    const answer = await this.#ask('HEAD', name, {}, call)
    await this.#discard(answer)
    if (isAbsent(answer.status)) return false
    if (answer.status === 200) return true
    throw await this.#failed(name, answer)
  }

  async put(name: string, body: CacheFileBody, type: string, call: Call): Promise<void> {
    const headers = {
      ...this.#headersFor(this.#base),
      'content-type': type,
      'content-length': `${body.size}`,
    }
    const sent = sentBody(body, this.name)
    const url = this.#urlOf(name)
    let answer: Answer
    try {
      answer = await this.#request(url, { method: 'PUT', headers, body: sent.stream }, call)
    } catch (error) {
      call.signal.throwIfAborted()
      sent.failed.throwIfAborted()
      throw error
    } finally {
      sent.stream.destroy()
    }
    if (answer.status >= 200 && answer.status < 300) return await this.#discard(answer)
    throw await this.#failed(`the upload of ${name}`, answer)
  }

  async close(): Promise<void> {
    const agent = this.#agent
    this.#agent = Promise.reject(cacheError('unreachable', this.name, 'is not used any more'))
    this.#agent.catch(() => undefined) // told to who asks nevertheless
    await (await agent?.catch(() => undefined))?.destroy()
  }

  #file(
    name: string,
    answer: Answer,
    at: { readonly offset: number; readonly part: ReturnType<typeof contentRangeOf> },
    call: Call,
  ): CacheFile {
    const { headers, body } = answer
    const coding = compressionOfCoding(headers['content-encoding'])
    if (coding === undefined || (coding !== 'none' && at.offset > 0)) {
      body.destroy()
      throw cacheError('broken', this.name, `sent ${name} in an encoding that was not asked for`)
    }
    const length = contentLengthOf(headers)
    const isWhole = at.part === undefined
    const size = isWhole ? length : at.part.size
    const { etag, 'last-modified': modified } = headers
    // A weak tag does not say that the bytes are the same (RFC 9110 §13.1.5).
    const validator = etag?.startsWith('W/') === false ? etag : etag === undefined ? modified : etag
    const isContinued = validator !== undefined && !validator.startsWith('W/')
    const raw = resumedBody(
      {
        bytes: body,
        offset: isWhole ? 0 : at.offset,
        size,
        ...(isContinued
          ? { reopen: (from: number, inner: Call) => this.#continue(name, from, validator, inner) }
          : {}),
      },
      { clock: this.#clock, cache: this.name },
      call,
    )
    if (coding !== 'none') return { etag, bytes: decompressed(raw, coding) }
    // Who does not know of ranges sends all of it.
    return { size, etag, bytes: isWhole ? withoutFirst(raw, at.offset) : raw }
  }

  async #continue(
    name: string,
    from: number,
    validator: string,
    call: Call,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const headers = { range: `bytes=${from}-`, 'if-range': validator }
    const answer = await this.#ask('GET', name, headers, call)
    const part = contentRangeOf(answer.headers['content-range'])
    if (answer.status === 206 && part?.from === from) return answer.body
    answer.body.destroy() // all of it, or of another file
    return undefined
  }

  /** Asks for a file by its name, and where redirects lead. */
  async #ask(
    method: 'GET' | 'HEAD',
    name: string,
    extra: Record<string, string>,
    call: Call,
  ): Promise<Answer> {
    let url = this.#urlOf(name)
    for (let redirects = 0; ; redirects++) {
      const headers = { ...this.#headersFor(url), ...extra }
      const answer = await this.#request(url, { method, headers }, call)
      const { location } = answer.headers
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) {
        return answer
      }
      await this.#discard(answer)
      if (redirects === REDIRECTS_MAX) {
        throw cacheError('broken', this.name, `redirects ${name} more than ${redirects} times`)
      }
      url = redirectTarget(this.name, name, url, location)
    }
  }

  async #request(
    url: URL,
    init: {
      readonly method: 'GET' | 'HEAD' | 'PUT'
      readonly headers: Record<string, string>
      readonly body?: Readable
    },
    call: Call,
  ): Promise<Answer> {
    const { origin, pathname, search } = url
    const path = pathname + search
    const shared = { signal: call.signal, highWaterMark: BODY_AHEAD_BYTES }
    const asked = { origin, path, ...shared, ...init }
    this.#agent ??= agentOf(this.#init)
    const agent = await this.#agent
    for (let tries = 0; ; tries++) {
      try {
        const { statusCode, headers, body } = await agent.request(asked)
        body.on('error', () => undefined) // told to who reads it
        return { status: statusCode, headers, body }
      } catch (error) {
        call.signal.throwIfAborted()
        const isAgain = tries === 0 && init.body === undefined && isStaleConnection(error)
        if (!isAgain) throw errorOfRequest(this.name, error)
      }
    }
  }

  /** Nobody but the cache itself is told who we are. */
  #headersFor(url: URL): Record<string, string> {
    const isOurs = url.origin === this.#base.origin && this.#authorization !== undefined
    return isOurs ? { authorization: this.#authorization! } : {}
  }

  #urlOf(name: string): URL {
    checkCacheFileNameLength(name, this.name)
    const url = URL.parse(name, this.#base.href)
    if (url === null || url.origin !== this.#base.origin || url.username || url.password) {
      const what = `has no file ${JSON.stringify(name)}: that is another host, or no name`
      throw cacheError('bad-name', this.name, what)
    }
    return url
  }

  async #failed(asked: string, answer: Answer): Promise<CacheError> {
    await this.#discard(answer)
    return errorOfStatus(this.name, asked, answer, this.#clock.now())
  }

  async #discard({ body }: Answer): Promise<void> {
    await body.dump({ limit: DISCARDED_BYTES }).catch(() => undefined) // nobody wants it
  }
}

/** @throws CacheError where the environment names a proxy that is none */
async function agentOf(init: HttpCacheInit): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('undici')
  const env = init.env ?? {}
  const named = (name: string): string =>
    env[name] || env[name.toUpperCase()] || env.all_proxy || env.ALL_PROXY || ''
  const stallMs = init.stallMs ?? UPSTREAM_STALL_MS
  const settings = {
    connections: init.connectionsMax ?? UPSTREAM_CONNECTIONS_MAX,
    connect: { timeout: init.connectMs ?? UPSTREAM_CONNECT_MS },
    headersTimeout: init.answerMs ?? UPSTREAM_ANSWER_MS,
    bodyTimeout: stallMs,
    // One connection for everything would stand still with the first body that is not read.
    allowH2: false,
    // Empty where there is none: it would look into the environment by itself.
    httpProxy: named('http_proxy'),
    httpsProxy: named('https_proxy'),
    noProxy: env.no_proxy || env.NO_PROXY || '',
  }
  try {
    return new EnvHttpProxyAgent(settings)
  } catch {
    // Without the cause, which shows the proxy's URL with the password that may be in it.
    const what = 'can not be reached: the proxy that the environment names has no HTTP URL'
    throw cacheError('unreachable', init.name, what)
  }
}

function basic(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined) return undefined
  const { user, password } = credentials
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* withoutFirst(
  bytes: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const piece of bytes) {
    const from = Math.min(Math.max(offset - at, 0), piece.length)
    at += piece.length
    if (from < piece.length) yield piece.subarray(from)
  }
}
