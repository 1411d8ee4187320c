import type { ByteRange } from './byte-range.ts'

/** Several parts of one body, as multipart/byteranges of RFC 9110 §14.6. */
export interface MultipartBody {
  readonly type: string
  /** Length in bytes. */
  readonly length: number
  /** The whole of it; `read` gives the bytes of one part. */
  pieces(read: (range: ByteRange) => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>
}

/**
 * Puts parts together. The boundary is made of what is in the body, so that the same request gets
 * the same answer; that it occurs within the content does no harm, since each part has its length.
 */
export function multipartBody(
  ranges: readonly ByteRange[],
  whole: { readonly size: number; readonly type: string; readonly key: string },
): MultipartBody {
  const boundary = `cairn-${whole.key.slice(0, 32)}`
  const heads = ranges.map(({ offset, length }, i) => {
    const range = `bytes ${offset}-${offset + length - 1}/${whole.size}`
    const fields = `Content-Type: ${whole.type}\r\nContent-Range: ${range}\r\n\r\n`
    return Buffer.from(`${i === 0 ? '' : '\r\n'}--${boundary}\r\n${fields}`)
  })
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  const contentBytes = ranges.reduce((sum, { length }) => sum + length, 0)
  const headBytes = heads.reduce((sum, { length }) => sum + length, 0)
  return {
    type: `multipart/byteranges; boundary=${boundary}`,
    length: contentBytes + headBytes + tail.length,
    async *pieces(read) {
      for (const [i, range] of ranges.entries()) {
        yield heads[i]!
        yield* read(range)
      }
      yield tail
    },
  }
}
