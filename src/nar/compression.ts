import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { createXz } from 'node-liblzma'
import type { Compression } from './decompression.ts'

/** Compressed for a client on the same machine, so quickly rather than well. */
const LEVEL = 1

/**
 * A stream compressed as it comes. An error of the source ends it with that error.
 */
export function compressed(source: Readable, compression: Compression): Readable {
  const encoder = encoderOf(compression)
  if (encoder === undefined) return source
  return pipeline(source, encoder, () => undefined)
}

function encoderOf(compression: Compression): Transform | undefined {
  switch (compression) {
    case 'none':
      return undefined
    case 'xz':
      // Its typings narrow the events of a Transform, which it is.
      return createXz({ preset: LEVEL }) as unknown as Transform
    case 'gzip':
      return createGzip({ level: LEVEL })
    case 'zstd':
      return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } })
  }
}
