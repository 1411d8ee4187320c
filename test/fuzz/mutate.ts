import type { Random } from '../../src/foundation/random.ts'
import type { FuzzTarget } from './fuzz-target.ts'

/** Inputs grow no longer than this by mutation, in bytes. */
const INPUT_BYTES_MAX = 64 * 1024

/** Lengths and sizes that programs get wrong. */
const NUMBERS = [0n, 1n, 7n, 8n, 9n, 64n, 255n, 256n, 4096n, 65_535n, 2n ** 31n - 1n, 2n ** 31n]
const HUGE = [2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n]

type Mutation = (input: Buffer, random: Random, more: readonly Uint8Array[]) => Uint8Array

/** An input made of one or two others by one to four changes. */
export function mutated(
  pool: readonly Uint8Array[],
  dictionary: FuzzTarget['dictionary'],
  random: Random,
): Uint8Array {
  const words = (dictionary ?? []).map((word) => Buffer.from(word))
  const more = words.length > 0 && random.integer(2) === 0 ? words : pool
  let input = Buffer.from(pick(pool, random))
  const changes = 1 + random.integer(4)
  for (let i = 0; i < changes; i++) {
    input = Buffer.from(pick(MUTATIONS, random)(input, random, more))
  }
  return input.subarray(0, INPUT_BYTES_MAX)
}

const MUTATIONS: readonly Mutation[] = [
  /** One bit turned. */
  (input, random) => {
    if (input.length > 0) input[random.integer(input.length)]! ^= 1 << random.integer(8)
    return input
  },
  /** One byte set. */
  (input, random) => {
    if (input.length > 0) input[random.integer(input.length)] = random.integer(256)
    return input
  },
  /** Cut short. */
  (input, random) => input.subarray(0, random.integer(input.length + 1)),
  /** A stretch left out. */
  (input, random) => {
    const from = random.integer(input.length + 1)
    return Buffer.concat([input.subarray(0, from), input.subarray(from + random.integer(64))])
  },
  /** A stretch twice. */
  (input, random) => {
    const from = random.integer(input.length + 1)
    const to = Math.min(from + random.integer(256), input.length)
    return Buffer.concat([input.subarray(0, to), input.subarray(from)])
  },
  /** Two stretches changed round. */
  (input, random) => {
    const [a, b, c] = [0, 0, 0]
      .map(() => random.integer(input.length + 1))
      .sort((left, right) => left - right) as [number, number, number]
    const parts = [input.subarray(0, a), input.subarray(b, c), input.subarray(a, b)]
    return Buffer.concat([...parts, input.subarray(c)])
  },
  /** Something of another input, or a word, put in. */
  (input, random, more) => {
    const at = random.integer(input.length + 1)
    const other = pick(more, random)
    return Buffer.concat([input.subarray(0, at), other, input.subarray(at)])
  },
  /** Something of another input, or a word, put over what is there. */
  (input, random, more) => {
    const at = random.integer(input.length + 1)
    const other = pick(more, random)
    return Buffer.concat([input.subarray(0, at), other, input.subarray(at + other.length)])
  },
  /** The rest of another input. */
  (input, random, more) => {
    const other = pick(more, random)
    const head = input.subarray(0, random.integer(input.length + 1))
    return Buffer.concat([head, other.subarray(random.integer(other.length + 1))])
  },
  /** A number of 1, 4 or 8 bytes that programs get wrong. */
  (input, random) => {
    const bytes = [1, 4, 8][random.integer(3)]!
    if (input.length < bytes) return input
    const number = pick([...NUMBERS, ...HUGE], random)
    const at = random.integer(input.length - bytes + 1)
    const encoded = Buffer.alloc(8)
    encoded.writeBigUInt64LE(number)
    encoded.copy(input, random.integer(2) === 0 ? at : at - (at % 8), 0, bytes)
    return input
  },
]

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)]!
}
