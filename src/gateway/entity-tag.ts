/**
 * Whether an If-None-Match header names the tag, so that the client has it already: by weak
 * comparison, RFC 9110 §13.1.2.
 */
export function isKnownTo(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  const opaque = opaqueOf(etag)
  return [...ifNoneMatch.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, tag]) => tag === opaque)
}

/**
 * Whether the condition of an If-Range header holds, so that a part completes what the client has:
 * by strong comparison, RFC 9110 §13.1.5. Dates never hold, since we send none.
 */
export function mayContinue(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || (ifRange.trim() === etag && !etag.startsWith('W/'))
}

function opaqueOf(etag: string): string {
  return etag.replace(/^W\//, '')
}
