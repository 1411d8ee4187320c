import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createBrotliCompress, createGzip, createZstdCompress } from 'node:zlib'
import { createXz } from 'node-liblzma'
import { type Compression, ENCODINGS } from './compression.ts'

/** Compressed for a client on the same machine, so quickly rather than well. */
const LEVEL = 1

/** The compressions that we can write. */
export type Encoding = (typeof ENCODINGS)[number]

/** Whether we can write a compression. */
export function isEncoding(compression: Compression): compression is Encoding {
  return (ENCODINGS as readonly Compression[]).includes(compression)
}

/**
 * A stream compressed as it comes. An error of the source ends it with that error.
 */
export function compressed(source: Readable, encoding: Encoding): Readable {
  const encoder = encoderOf(encoding)
  if (encoder === undefined) return source
  return pipeline(source, encoder, () => undefined)
}

function encoderOf(encoding: Encoding): Transform | undefined {
  switch (encoding) {
    case 'none':
      return undefined
    case 'xz':
      // Its typings narrow the events of a Transform, which it is.
      return createXz({ preset: LEVEL }) as unknown as Transform
    case 'gzip':
      return createGzip({ level: LEVEL })
    case 'zstd':
      return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } })
    case 'br':
      return createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: LEVEL } })
  }
}
