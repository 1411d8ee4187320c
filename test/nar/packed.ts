import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import { unxzAsync, xzAsync } from 'node-liblzma'
import type { Compression } from '../../src/nar/decompression.ts'

/** Bytes compressed in one go. */
export async function packed(bytes: Uint8Array, compression: Compression): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return Buffer.from(bytes)
    case 'xz':
      return await xzAsync(Buffer.from(bytes), { preset: 1 })
    case 'zstd':
      return await promisify(zstdCompress)(bytes)
    case 'gzip':
      return await promisify(gzip)(bytes)
  }
}

/** What was compressed. @throws where it is malformed */
export async function unpacked(bytes: Uint8Array, compression: Compression): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return Buffer.from(bytes)
    case 'xz':
      return await unxzAsync(Buffer.from(bytes))
    case 'zstd':
      return await promisify(zstdDecompress)(bytes)
    case 'gzip':
      return await promisify(gunzip)(bytes)
  }
}
