/** Characters of the longest Accept-Encoding header that is looked at. */
const HEADER_LENGTH_MAX = 1_024

/**
 * Whether a client asks for zstd, by its Accept-Encoding header and RFC 9110 §12.5.3. Nothing else
 * is encoded for anybody: `*` names nothing, so that it is no question for zstd.
 */
export function wantsZstd(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined || acceptEncoding.length > HEADER_LENGTH_MAX) return false
  const weights = new Map<string, number>()
  for (const part of acceptEncoding.toLowerCase().split(',')) {
    const [coding, ...parameters] = part.split(';').map((it) => it.trim())
    if (coding === undefined || coding === '') continue
    weights.set(coding, weightOf(parameters))
  }
  const zstd = weights.get('zstd') ?? 0
  return zstd > 0 && zstd >= (weights.get('identity') ?? 0)
}

function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [, weight] = /^q\s*=\s*(.*)$/.exec(parameter) ?? []
    if (weight === undefined) continue
    return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0
  }
  return 1
}
