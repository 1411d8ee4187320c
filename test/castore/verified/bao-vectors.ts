import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(new URL('../../../../shared/vectors/bao.json', import.meta.url))

/** Why bao's vectors can not be tested with, or undefined where they are there. */
export const baoMissing = existsSync(FILE) ? undefined : `${FILE} is not there`

interface Encoding {
  readonly input_len: number
  readonly bao_hash: string
  readonly output_len: number
  readonly encoded_blake3: string
}

interface Slice {
  readonly start: number
  readonly len: number
  readonly output_len: number
  readonly output_blake3: string
  readonly corruptions: readonly number[]
}

/** The vectors of the bao crate: groups of one leaf, and a header of 8 bytes. */
export interface BaoVectors {
  readonly hash: readonly { readonly input_len: number; readonly bao_hash: string }[]
  readonly encode: readonly (Encoding & { readonly corruptions: readonly number[] })[]
  readonly outboard: readonly (Encoding & {
    readonly outboard_corruptions: readonly number[]
    readonly input_corruptions: readonly number[]
  })[]
  readonly seek: readonly { readonly input_len: number; readonly seek_offsets: readonly number[] }[]
  readonly slice: readonly {
    readonly input_len: number
    readonly bao_hash: string
    readonly slices: readonly Slice[]
  }[]
}

/** Reads the vectors. */
export function baoVectors(): BaoVectors {
  return JSON.parse(readFileSync(FILE, 'utf8'))
}

/** The content that the vectors are about: a number of 32 bits, little-endian, counted up from 1. */
export function baoContent(bytes: number): Uint8Array {
  const content = Buffer.alloc(Math.ceil(bytes / 4) * 4)
  for (let i = 0; 4 * i < bytes; i++) content.writeUInt32LE(i + 1, 4 * i)
  return content.subarray(0, bytes)
}

/** A copy with one bit turned. */
export function turned(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 1 << bit
  return copy
}
