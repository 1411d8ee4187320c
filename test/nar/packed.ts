import { execFileSync, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import {
  brotliCompress,
  brotliDecompress,
  gunzip,
  gzip,
  zstdCompress,
  zstdDecompress,
} from 'node:zlib'
import { unxzAsync, xzAsync } from 'node-liblzma'
import type { Compression } from '../../src/nar/compression.ts'

/** Why nothing can be compressed by bzip2 here, for a skipped test to say. */
export const BZIP2_MISSING =
  spawnSync('bzip2', ['--version'], { input: '' }).status === 0
    ? undefined
    : 'bzip2 is not installed'

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
    case 'br':
      return await promisify(brotliCompress)(bytes)
    case 'bzip2':
      return run('bzip2', ['-c'], bytes)
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
    case 'br':
      return await promisify(brotliDecompress)(bytes)
    case 'bzip2':
      return run('bzip2', ['-dc'], bytes)
  }
}

/** What a program makes of its input. */
export function run(program: string, args: readonly string[], input: Uint8Array): Buffer {
  return execFileSync(program, args, { input, maxBuffer: 256 * 1024 * 1024, stdio: 'pipe' })
}
