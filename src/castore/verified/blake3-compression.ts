/** Length of a chaining value, and of a digest, in bytes. */
export const CHAINING_VALUE_BYTES = 32

/** Length of the blocks that are compressed one after the other, in bytes. */
export const BLOCK_BYTES = 64

/** Length of BLAKE3's leaves, in bytes. Not the chunks of the store, which FastCDC cuts. */
export const LEAF_BYTES = 1024

/** What a compression is told of the place of its block in the tree. */
export const FLAGS = { leafStart: 1, leafEnd: 2, parent: 4, root: 8 } as const

/** The initial chaining value of every node: the first 32 bits of SHA-256's. */
export const INITIAL_VALUE: readonly number[] = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]

/** Four words of the state that are mixed. */
export type Mixing = readonly [a: number, b: number, c: number, d: number]

/** The eight mixings of a round: the state's columns, then its diagonals. */
export const MIXINGS: readonly Mixing[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
]

/** For each of the seven rounds, the order in which its mixings take the message's words. */
export const SCHEDULE: readonly (readonly number[])[] = schedule()

/** One block, and its place in the tree. */
export interface Block {
  /** The message's 16 words, zeros behind its end. */
  readonly words: Uint32Array
  /** How many of its bytes count. */
  readonly bytes: number
  /** Which leaf of the blob it is in; zero in parents. */
  readonly counter: number
  readonly flags: number
}

/**
 * BLAKE3's compression (§2.2 of its specification), cut to the 8 words that chaining needs: turns
 * the chaining value before the block into that behind it, in place.
 */
export function compress(chaining: Uint32Array, block: Block): void {
  const state = new Uint32Array(16)
  state.set(chaining)
  for (let i = 0; i < 4; i++) state[8 + i] = INITIAL_VALUE[i]!
  state[12] = block.counter
  state[13] = block.counter / 2 ** 32
  state[14] = block.bytes
  state[15] = block.flags
  for (const order of SCHEDULE) {
    for (let i = 0; i < 8; i++) {
      const first = block.words[order[2 * i]!]!
      const second = block.words[order[2 * i + 1]!]!
      mix(state, MIXINGS[i]!, first, second)
    }
  }
  for (let i = 0; i < 8; i++) chaining[i] = state[i]! ^ state[i + 8]!
}

function mix(state: Uint32Array, places: Mixing, first: number, second: number): void {
  const a = places[0]
  const b = places[1]
  const c = places[2]
  const d = places[3]
  state[a] = state[a]! + state[b]! + first
  state[d] = rotatedRight(state[d]! ^ state[a]!, 16)
  state[c] = state[c]! + state[d]!
  state[b] = rotatedRight(state[b]! ^ state[c]!, 12)
  state[a] = state[a]! + state[b]! + second
  state[d] = rotatedRight(state[d]! ^ state[a]!, 8)
  state[c] = state[c]! + state[d]!
  state[b] = rotatedRight(state[b]! ^ state[c]!, 7)
}

function rotatedRight(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}

function schedule(): number[][] {
  const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
  const rounds = [permutation.map((_, i) => i)]
  while (rounds.length < 7) rounds.push(permutation.map((from) => rounds.at(-1)![from]!))
  return rounds
}
