import {
  BLOCK_BYTES,
  CHAINING_VALUE_BYTES,
  INITIAL_VALUE,
  MIXINGS,
  SCHEDULE,
} from './blake3-compression.ts'
import { type Code, TYPES, wasm, wasmModule } from './wasm-module.ts'

/** How many nodes are hashed at a time: the 32-bit lanes of a vector. */
export const LANES = 4

/** Hashes nodes of one kind that lie evenly spaced in the kernel's memory. */
export type RunKernel = (
  /** Address of the first node. */
  input: number,
  /** Bytes from the beginning of one node to that of the next. */
  stride: number,
  /** How many times {@link LANES} nodes, at least one; what lies behind them is taken for nodes. */
  sets: number,
  /** How many blocks each node has, at least one. */
  blocks: number,
  /** How many bytes of a node's last block count; behind them there have to be zeros. */
  lastBlockBytes: number,
  /** The flags of every block, and those that its first and its last have besides. */
  flags: number,
  firstFlags: number,
  lastFlags: number,
  /** The counter of the first node, and by how much each next one's is larger. */
  counter: number,
  counterStep: number,
  /** Where the chaining values go, one behind the other. They must not lie over the input. */
  output: number,
) => void

/**
 * The bytes of a WebAssembly module, its memory having so many pages of 64 KiB, that exports
 * `memory` and `run`, a {@link RunKernel}: BLAKE3's compression with one node in each lane. The
 * rounds are laid out in a row, so that the order of the message's words costs nothing.
 *
 * It does 1.5 GB/s on one core where plain TypeScript does 36 MB/s. Native packages do more, but
 * set the root flag and know no counters, so that they have no chaining values to give; and what
 * is compiled from another language would have to be built at set-up, or be kept as a binary.
 */
export function simdKernel(pages: number): Uint8Array<ArrayBuffer> {
  const { i32, f64, v128 } = TYPES
  const parameters = [i32, i32, i32, i32, i32, i32, i32, i32, f64, i32, i32]
  const locals = [...Array(3).fill(i32), ...Array(42).fill(v128)]
  return wasmModule({ parameters, locals, body: allSets() }, pages)
}

const { get, set, i32 } = wasm

// Parameters, in the order of RunKernel.
const INPUT = 0
const STRIDE = 1
const SETS = 2
const BLOCKS = 3
const LAST_BLOCK_BYTES = 4
const EVERY_FLAGS = 5
const FIRST_FLAGS = 6
const LAST_FLAGS = 7
const COUNTER = 8
const COUNTER_STEP = 9
const OUTPUT = 10

// Numbers: how many blocks are done, and where the next one lies in the first node and in others.
const DONE = 11
const BLOCK = 12
const LANE = 13

// Vectors, each of the same word of all nodes.
const COUNTER_LOW = 14
const COUNTER_HIGH = 15
const CHAINING = 16
const STATE = 24
const MESSAGE = 40

function allSets(): Code {
  const step = (nodes: Code): Code => wasm.i32Multiply(nodes, i32(LANES))
  return wasm.repeat(
    [
      setCounters(),
      INITIAL_VALUE.map((word, i) => set(CHAINING + i, splat(word))),
      set(DONE, i32(0)),
      set(BLOCK, get(INPUT)),
      wasm.repeat(oneBlock(), wasm.i32Less(get(DONE), get(BLOCKS))),
      storeChaining(),
      set(INPUT, wasm.i32Add(get(INPUT), step(get(STRIDE)))),
      set(OUTPUT, wasm.i32Add(get(OUTPUT), i32(LANES * CHAINING_VALUE_BYTES))),
      set(COUNTER, wasm.f64Add(get(COUNTER), wasm.f64FromI32(step(get(COUNTER_STEP))))),
      set(SETS, wasm.i32Add(get(SETS), i32(-1))),
    ],
    get(SETS),
  )
}

/** The nodes' counters, of 64 bits, into their lower and upper words. */
function setCounters(): Code {
  const pair = (first: number): Code => {
    const steps = wasm.splat64(wasm.i64FromI32(get(COUNTER_STEP)))
    const lanes = wasm.vector([lane64(first), lane64(first + 1)])
    const begin = wasm.splat64(wasm.i64FromF64(get(COUNTER)))
    return wasm.add64(begin, wasm.multiply64(lanes, steps))
  }
  return [
    set(STATE, pair(0)),
    set(STATE + 1, pair(2)),
    set(COUNTER_LOW, words(get(STATE), get(STATE + 1), [0, 2, 4, 6])),
    set(COUNTER_HIGH, words(get(STATE), get(STATE + 1), [1, 3, 5, 7])),
  ]
}

function oneBlock(): Code {
  const isFirst = wasm.i32Equal(get(DONE), i32(1))
  const isLast = wasm.i32Equal(get(DONE), get(BLOCKS))
  const bytes = wasm.select(get(LAST_BLOCK_BYTES), i32(BLOCK_BYTES), isLast)
  const first = wasm.select(get(FIRST_FLAGS), i32(0), isFirst)
  const last = wasm.select(get(LAST_FLAGS), i32(0), isLast)
  const flags = wasm.i32Or(get(EVERY_FLAGS), wasm.i32Or(first, last))
  const chaining = INITIAL_VALUE.map((_, i) => CHAINING + i)
  return [
    loadMessage(),
    set(BLOCK, wasm.i32Add(get(BLOCK), i32(BLOCK_BYTES))),
    set(DONE, wasm.i32Add(get(DONE), i32(1))),
    chaining.map((local, i) => set(STATE + i, get(local))),
    INITIAL_VALUE.slice(0, 4).map((word, i) => set(STATE + 8 + i, splat(word))),
    set(STATE + 12, get(COUNTER_LOW)),
    set(STATE + 13, get(COUNTER_HIGH)),
    set(STATE + 14, wasm.splat32(bytes)),
    set(STATE + 15, wasm.splat32(flags)),
    SCHEDULE.map((order) => [fourMixings(order, 0), fourMixings(order, 4)]),
    chaining.map((local, i) => set(local, wasm.xor(get(STATE + i), get(STATE + 8 + i)))),
  ]
}

/**
 * Four mixings that do not wait for each other, from the given one on. They go abreast, which is
 * some 5 % faster than one after the other.
 */
function fourMixings(order: readonly number[], from: number): Code {
  const abreast = (
    step: (a: number, b: number, c: number, d: number, mixing: number) => Code,
  ): Code =>
    MIXINGS.slice(from, from + 4).map(([a, b, c, d], i) =>
      step(STATE + a, STATE + b, STATE + c, STATE + d, from + i),
    )
  const half = (second: number, turnD: Rotation, turnB: Rotation): Code => {
    const message = (mixing: number): Code => get(MESSAGE + order[2 * mixing + second]!)
    return [
      abreast((a, b, _c, _d, mixing) =>
        set(a, wasm.add32(wasm.add32(get(a), message(mixing)), get(b))),
      ),
      abreast((a, _b, _c, d) => set(d, turnD(wasm.xor(get(d), get(a)), d))),
      abreast((_a, _b, c, d) => set(c, wasm.add32(get(c), get(d)))),
      abreast((_a, b, c) => set(b, turnB(wasm.xor(get(b), get(c)), b))),
    ]
  }
  return [half(0, byBytes(2), byBits(12)), half(1, byBytes(1), byBits(7))]
}

/** Rotates each word to the right; a local may be used for what is needed twice. */
type Rotation = (value: Code, scratch: number) => Code

/** A permutation of bytes is one instruction where shifts take three. */
function byBytes(count: number): Rotation {
  const lanes = Array.from({ length: 16 }, (_, i) => (i & ~3) | ((i + count) & 3))
  return (value, scratch) => [set(scratch, value), wasm.shuffle(get(scratch), get(scratch), lanes)]
}

function byBits(count: number): Rotation {
  return (value, scratch) => {
    const right = wasm.shiftRight32(get(scratch), count)
    const left = wasm.shiftLeft32(get(scratch), 32 - count)
    return [set(scratch, value), wasm.or(right, left)]
  }
}

/** Loads a block of each node: four words of four nodes at a time, changing rows and columns. */
function loadMessage(): Code {
  const row = (lane: number, word: number): Code => [
    lane === 0 ? set(LANE, get(BLOCK)) : set(LANE, wasm.i32Add(get(LANE), get(STRIDE))),
    set(STATE + lane, wasm.load(get(LANE), 4 * word)),
  ]
  return [0, 4, 8, 12].map((word) => [
    [0, 1, 2, 3].map((lane) => row(lane, word)),
    transpose(STATE, MESSAGE + word),
  ])
}

/** Stores the chaining value of each node, in whole. */
function storeChaining(): Code {
  const row = (lane: number, word: number): Code =>
    wasm.store(get(OUTPUT), lane * CHAINING_VALUE_BYTES + 4 * word, get(STATE + lane))
  return [0, 4].map((word) => [
    transpose(CHAINING + word, STATE),
    [0, 1, 2, 3].map((lane) => row(lane, word)),
  ])
}

/** Makes columns of the rows in four locals; they go into four others. */
function transpose(from: number, to: number): Code {
  const scratch = STATE + 8
  const row = (i: number): Code => get(from + i)
  const half = (i: number): Code => get(scratch + i)
  return [
    set(scratch, words(row(0), row(1), [0, 4, 1, 5])),
    set(scratch + 1, words(row(2), row(3), [0, 4, 1, 5])),
    set(scratch + 2, words(row(0), row(1), [2, 6, 3, 7])),
    set(scratch + 3, words(row(2), row(3), [2, 6, 3, 7])),
    set(to, words(half(0), half(1), [0, 1, 4, 5])),
    set(to + 1, words(half(0), half(1), [2, 3, 6, 7])),
    set(to + 2, words(half(2), half(3), [0, 1, 4, 5])),
    set(to + 3, words(half(2), half(3), [2, 3, 6, 7])),
  ]
}

/** A vector of the words that are named: 0 to 3 of the first operand, 4 to 7 of the second. */
function words(a: Code, b: Code, lanes: readonly number[]): Code {
  const bytes = lanes.map((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))
  return wasm.shuffle(a, b, bytes)
}

function splat(word: number): Code {
  return wasm.splat32(i32(word | 0))
}

function lane64(value: number): Code {
  return [value, 0, 0, 0, 0, 0, 0, 0]
}
