import { GatewayError } from './gateway-error.ts'

/** How many ranges one request may name; more is an attack (RFC 9110 §14.2 and §17.15). */
export const RANGES_MAX = 32

/** A part of a body: its first byte, and how many. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/**
 * The parts of a body of `size` bytes that a Range header asks for, by RFC 9110 §14: in order, and
 * those that touch or overlap made one. Undefined where the whole is to be sent: no header, another
 * unit, or no well-formed set, which a server passes over.
 * @throws GatewayError 'range-unsatisfiable' where none of them is within the body, or there are
 *   more than {@link RANGES_MAX}
 */
export function parseByteRanges(
  header: string | undefined,
  size: number,
): readonly ByteRange[] | undefined {
  const [, set] = /^bytes=(.*)$/i.exec(header ?? '') ?? []
  if (set === undefined) return undefined
  const texts = set.split(',', RANGES_MAX + 1).map((it) => it.trim())
  const parsed = texts.filter((it) => it !== '').map((it) => parseRange(it, size))
  if (parsed.length === 0 || parsed.includes('malformed')) return undefined
  if (texts.length > RANGES_MAX) throw unsatisfiable(size, `ask for ${RANGES_MAX} parts at most`)
  const ranges = parsed.filter((it): it is ByteRange => typeof it === 'object')
  if (ranges.length === 0) throw unsatisfiable(size, `the body has ${size} bytes`)
  return coalesced(ranges)
}

function parseRange(text: string, size: number): ByteRange | 'malformed' | 'outside' {
  const [, first, last] = /^(\d*)\s*-\s*(\d*)$/.exec(text) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'malformed'
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'outside' : { offset: size - length, length }
  }
  const offset = Number(first)
  if (last !== '' && Number(last) < offset) return 'malformed'
  if (offset >= size) return 'outside'
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return { offset, length: end - offset + 1 }
}

function coalesced(ranges: readonly ByteRange[]): ByteRange[] {
  const result: ByteRange[] = []
  for (const range of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const before = result.at(-1)
    if (before === undefined || range.offset > before.offset + before.length) {
      result.push(range)
      continue
    }
    const end = Math.max(before.offset + before.length, range.offset + range.length)
    result[result.length - 1] = { offset: before.offset, length: end - before.offset }
  }
  return result
}

function unsatisfiable(size: number, what: string): GatewayError {
  return new GatewayError({ code: 'range-unsatisfiable', size }, what)
}
