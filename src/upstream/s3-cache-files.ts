import type { Readable } from 'node:stream'
// Types only: the package takes 200 ms to load, and nodes without such caches do not pay for that.
import type { GetObjectCommandOutput, S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { type Call, narrowedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { systemErrorCode } from '../foundation/system-error.ts'
import { compressionOfCoding } from '../nar/compression.ts'
import { decompressed } from '../nar/decompression.ts'
import { busy, CacheError, cacheError } from './cache-error.ts'
import { checkCacheFileName } from './cache-file-name.ts'
import type { CacheFile, CacheFileBody, CacheFiles } from './cache-files.ts'
import { contentRangeOf, errorOfRequest } from './http-answer.ts'
import {
  UPSTREAM_ANSWER_MS,
  UPSTREAM_CONNECT_MS,
  UPSTREAM_CONNECTIONS_MAX,
  UPSTREAM_STALL_MS,
  type UpstreamLimits,
} from './http-cache-files.ts'
import { resumedBody } from './resumed-body.ts'
import { withStallLimit } from './stall-limit.ts'
import type { UpstreamLocation } from './upstream-url.ts'
import { sentBody } from './whole-body.ts'

/** Length of the longest file that S3 takes in one request, in bytes. */
export const S3_PUT_BYTES_MAX = 5 * 1024 * 1024 * 1024

/** How many times a request to S3 is made before its error is told. */
const ATTEMPTS = 2

/** Amazon's default, which others take as well. */
const REGION = 'us-east-1'

const SILENT = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

type Sdk = typeof import('@aws-sdk/client-s3')

/** Where the bucket is, and how it is waited for. */
export interface S3CacheInit extends UpstreamLimits {
  readonly name: string
  readonly location: Extract<UpstreamLocation, { kind: 's3' }>
}

/**
 * A cache in a bucket of S3 or of what talks like it. Who we are is found as AWS's own tools find
 * it: in the environment, in profiles, from the machine.
 */
export class S3CacheFiles implements CacheFiles {
  readonly name: string
  readonly #clock: Clock
  readonly #init: S3CacheInit
  #client: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined

  constructor(components: { readonly clock: Clock }, init: S3CacheInit) {
    this.name = init.name
    this.#clock = components.clock
    this.#init = init
  }

  async get(name: string, call: Call, offset = 0): Promise<CacheFile | undefined> {
    const key = this.#keyOf(name)
    const answer = await this.#tryGet(key, offset, undefined, call)
    if (answer === 'absent') return undefined
    if (answer === 'past-end') return { bytes: nothing() }
    const { ETag: etag, ContentLength: length, ContentRange: range } = answer
    const coding = compressionOfCoding(answer.ContentEncoding)
    if (coding === undefined || (coding !== 'none' && offset > 0)) {
      throw cacheError('broken', this.name, `has ${name} in an encoding that is not known`)
    }
    const part = contentRangeOf(range)
    if (offset > 0 && part?.from !== offset) {
      throw cacheError('broken', this.name, `sent another part of ${name} than it was asked for`)
    }
    const size = offset > 0 ? part?.size : length
    const reopen = async (from: number, inner: Call): Promise<AsyncIterable<Uint8Array>> => {
      const next = await this.#tryGet(key, from, etag, inner)
      if (typeof next !== 'string' && contentRangeOf(next.ContentRange)?.from === from) {
        return this.#bytesOf(next, inner)
      }
      throw cacheError('broken', this.name, `has another ${name} by now`)
    }
    const raw = resumedBody(
      {
        bytes: this.#bytesOf(answer, call),
        offset,
        size,
        ...(etag === undefined ? {} : { reopen }),
      },
      { clock: this.#clock, cache: this.name },
      call,
    )
    if (coding !== 'none') return { etag, bytes: decompressed(raw, coding) }
    return { size, etag, bytes: raw }
  }

  async has(name: string, call: Call): Promise<boolean> {
    const key = this.#keyOf(name)
    const { sdk, client } = await this.#opened()
    const command = new sdk.HeadObjectCommand({ Bucket: this.#init.location.bucket, Key: key })
    try {
      await client.send(command, { abortSignal: call.signal })
      return true
    } catch (error) {
      call.signal.throwIfAborted()
      if (isAbsent(error)) return false
      throw this.#translated(error, name)
    }
  }

  async put(name: string, body: CacheFileBody, type: string, call: Call): Promise<void> {
    const key = this.#keyOf(name)
    if (body.size > S3_PUT_BYTES_MAX) {
      const what = `takes files of ${S3_PUT_BYTES_MAX} bytes in one request, not ${body.size}`
      throw cacheError('refused', this.name, what)
    }
    const { sdk, client } = await this.#opened()
    const sent = sentBody(body, this.name)
    const command = new sdk.PutObjectCommand({
      Bucket: this.#init.location.bucket,
      Key: key,
      Body: sent.stream,
      ContentLength: body.size,
      ContentType: type,
    })
    try {
      // By itself it would wait for the rest of a body that has failed.
      const { signal } = narrowedCall(call, sent.failed)
      await client.send(command, { abortSignal: signal })
    } catch (error) {
      call.signal.throwIfAborted()
      sent.failed.throwIfAborted()
      throw this.#translated(error, `the upload of ${name}`)
    } finally {
      sent.stream.destroy()
    }
  }

  async prepare(): Promise<void> {
    await loadSdk()
  }

  async close(): Promise<void> {
    if (this.#client === undefined) return
    const { client } = await this.#client
    client.destroy()
  }

  async #tryGet(
    key: string,
    offset: number,
    etag: string | undefined,
    call: Call,
  ): Promise<GetObjectCommandOutput | 'absent' | 'past-end'> {
    const { sdk, client } = await this.#opened()
    const command = new sdk.GetObjectCommand({
      Bucket: this.#init.location.bucket,
      Key: key,
      Range: offset > 0 ? `bytes=${offset}-` : undefined,
      IfMatch: etag,
    })
    try {
      return await client.send(command, { abortSignal: call.signal })
    } catch (error) {
      call.signal.throwIfAborted()
      if (isAbsent(error)) return 'absent'
      if (offset > 0 && statusOf(error) === 416) return 'past-end'
      throw this.#translated(error, key)
    }
  }

  #bytesOf({ Body: body }: GetObjectCommandOutput, call: Call): AsyncIterable<Uint8Array> {
    if (body === undefined) return nothing()
    const { stallMs = UPSTREAM_STALL_MS } = this.#init
    const readable = body as Readable // in Node
    readable.on('error', () => undefined) // told to who reads it
    const leave = (): void => void readable.destroy()
    call.signal.addEventListener('abort', leave, { once: true })
    readable.once('close', () => call.signal.removeEventListener('abort', leave))
    return withStallLimit(readable, { clock: this.#clock, stallMs, what: 'reading' }, call)
  }

  #opened(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    this.#client ??= this.#open()
    return this.#client
  }

  async #open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    const sdk = await loadSdk()
    const { location, connectionsMax, connectMs, answerMs } = this.#init
    const { region, endpoint, profile, scheme } = location
    const config: S3ClientConfig = {
      region: region ?? REGION,
      // Where others answer, the bucket is seldom part of a host's name.
      forcePathStyle: endpoint !== undefined,
      maxAttempts: ATTEMPTS,
      logger: SILENT, // its errors come to us, and its default is the console
      // Others than Amazon do not know its newer checksums; a NAR has hashes of its own.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: connectMs ?? UPSTREAM_CONNECT_MS,
        socketTimeout: answerMs ?? UPSTREAM_ANSWER_MS,
        httpAgent: { keepAlive: true, maxSockets: connectionsMax ?? UPSTREAM_CONNECTIONS_MAX },
        httpsAgent: { keepAlive: true, maxSockets: connectionsMax ?? UPSTREAM_CONNECTIONS_MAX },
      },
    }
    if (endpoint !== undefined) config.endpoint = `${scheme}://${endpoint}`
    else if (scheme === 'http') config.tls = false
    if (profile !== undefined) config.profile = profile
    return { sdk, client: new sdk.S3Client(config) }
  }

  #keyOf(name: string): string {
    checkCacheFileName(name, this.name)
    return this.#init.location.prefix + name
  }

  #translated(error: unknown, asked: string): CacheError {
    if (error instanceof CacheError) return error
    const status = statusOf(error)
    const said = error instanceof Error ? error.name : String(error)
    const what = `answered ${asked} with ${said}${status === undefined ? '' : ` (${status})`}`
    if (said === 'CredentialsProviderError' || said === 'TokenProviderError') {
      return cacheError('refused', this.name, 'needs credentials, and there are none', error)
    }
    if (said === 'NoSuchBucket') return cacheError('no-cache', this.name, 'is no bucket', error)
    if (said === 'TimeoutError') {
      return cacheError('unreachable', this.name, 'did not answer in time', error)
    }
    if (status === 429 || status === 503) return busy(this.name, what, undefined)
    if (status === 401 || status === 403) return cacheError('refused', this.name, what, error)
    if (status !== undefined) return cacheError('broken', this.name, what, error)
    if (systemErrorCode(error) !== undefined) return errorOfRequest(this.name, error)
    return cacheError('broken', this.name, what, error)
  }
}

async function loadSdk(): Promise<Sdk> {
  return await import('@aws-sdk/client-s3')
}

function statusOf(error: unknown): number | undefined {
  const { $metadata: metadata } = error as { $metadata?: { readonly httpStatusCode?: number } }
  return metadata?.httpStatusCode
}

/**
 * Who may not list a bucket is told 403 of what is not in it. That credentials will not do says
 * another name; of a HEAD's answer, which has no body, nobody can tell.
 */
function isAbsent(error: unknown): boolean {
  const status = statusOf(error)
  const { name } = error as Error
  if (name === 'NoSuchBucket') return false
  if (status === 404 || status === 410) return true
  return status === 403 && ['AccessDenied', '403', 'Forbidden', 'UnknownError'].includes(name)
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
