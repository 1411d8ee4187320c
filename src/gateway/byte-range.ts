import { GatewayError } from './gateway-error.ts'

/** A part of a body: its first byte, and how many. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/**
 * The part of a body of `size` bytes that a Range header asks for, by RFC 9110 §14. Undefined where
 * the whole is to be sent: no header, another unit, or several ranges at once, which a server may
 * pass over.
 * @throws GatewayError 'range-unsatisfiable'
 */
export function parseByteRange(header: string | undefined, size: number): ByteRange | undefined {
  const [, first, last] = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  if (first === '') {
    const length = Math.min(Number(last), size)
    if (length === 0) throw unsatisfiable(size)
    return { offset: size - length, length }
  }
  const offset = Number(first)
  if (offset >= size) throw unsatisfiable(size)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return end < offset ? undefined : { offset, length: end - offset + 1 }
}

function unsatisfiable(size: number): GatewayError {
  return new GatewayError({ code: 'range-unsatisfiable', size }, `the body has ${size} bytes`)
}
