import type { IncomingHttpHeaders } from 'node:http'
import { systemErrorCode } from '../foundation/system-error.ts'
import { busy, type CacheError, cacheError } from './cache-error.ts'

/** The longest time that a cache is left alone because it says so, in milliseconds. */
export const RETRY_AFTER_MAX_MS = 5 * 60_000

/** What a status means for who reads: a file, none (RFC 9110 §15.5; S3 says 403), or neither. */
export function isAbsent(status: number): boolean {
  return status === 404 || status === 403 || status === 410
}

/** The error for an answer that is neither a file nor none. `nowMs` is the time of day. */
export function errorOfStatus(
  cache: string,
  asked: string,
  answer: { readonly status: number; readonly headers: IncomingHttpHeaders },
  nowMs: number,
): CacheError {
  const { status, headers } = answer
  const what = `answered ${asked} with ${status}`
  if (status === 429 || status === 503) {
    return busy(cache, what, retryAfterMsOf(headers['retry-after'], nowMs))
  }
  if (status === 401 || status === 407 || status === 403) {
    const hint = status === 407 ? 'of the proxy ' : ''
    return cacheError('refused', cache, `${what}: credentials ${hint}are missing, or do not do`)
  }
  return cacheError('broken', cache, what)
}

/** How long to wait by RFC 9110 §10.2.3, in ms; undefined where it can not be told. */
export function retryAfterMsOf(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  const isDate = /^[A-Za-z]/.test(text) // "-1" is one for Date.parse
  const ms = /^[0-9]{1,9}$/.test(text)
    ? Number(text) * 1000
    : isDate
      ? Date.parse(text) - nowMs
      : Number.NaN
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS) : undefined
}

/** Where a part of a file begins and how long the whole is, by RFC 9110 §14.4. */
export function contentRangeOf(
  header: string | undefined,
): { readonly from: number; readonly size: number | undefined } | undefined {
  const [, from, size] = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(header ?? '') ?? []
  if (from === undefined) return undefined
  return { from: Number(from), size: size === '*' ? undefined : Number(size) }
}

/** Where a redirect leads; never out of HTTP, nor back from https. @throws CacheError 'broken' */
export function redirectTarget(cache: string, name: string, from: URL, location: string): URL {
  const to = URL.parse(location, from.href)
  if (to === null || (to.protocol !== 'https:' && to.protocol !== 'http:')) {
    throw cacheError('broken', cache, `redirects ${name} to what is no HTTP address`)
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    throw cacheError('broken', cache, `redirects ${name} from https to http`)
  }
  to.username = ''
  to.password = ''
  return to
}

/** The length that an answer says its body has, in bytes. */
export function contentLengthOf(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['content-length'] ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Codes of errors by which nothing was reached that would talk HTTP. */
const UNREACHABLE = [
  ...['ENOTFOUND', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EHOSTDOWN'],
  ...['EADDRNOTAVAIL', 'EPROTO', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT'],
]

/** What the codes of such errors begin with where there are many: of names, and of TLS. */
const UNREACHABLE_BEGINNINGS =
  /^(EAI_|ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_)/

/** What a request's error means, before any of its body has come. */
export function errorOfRequest(cache: string, error: unknown): CacheError {
  const root = rootOf(error)
  const code = systemErrorCode(root) ?? ''
  if (UNREACHABLE.includes(code) || UNREACHABLE_BEGINNINGS.test(code)) {
    return cacheError('unreachable', cache, `can not be reached: ${code}`, error)
  }
  const isCredentials = code === 'UND_ERR_ABORTED' && /proxy/i.test(String(root))
  if (isCredentials) {
    return cacheError('refused', cache, 'can not be reached: the proxy does not let us', error)
  }
  return cacheError('broken', cache, `did not answer by the protocol: ${code || root}`, error)
}

/** Whether a request may be made anew, because a connection was closed while it lay idle. */
export function isStaleConnection(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(systemErrorCode(error) ?? '')
}

/** Of several addresses that were tried, the first one's error tells. */
function rootOf(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors[0]
  if (
    error instanceof Error &&
    error.cause instanceof Error &&
    systemErrorCode(error) === undefined
  )
    return error.cause
  return error
}
