import { BLOCK_BYTES, CHAINING_VALUE_BYTES, FLAGS, LEAF_BYTES } from './blake3-compression.ts'
import { LANES, type RunKernel, simdKernel } from './simd-kernel.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'
import { PARENT_BYTES } from './tree-shape.ts'

/**
 * How many bytes go into WebAssembly's memory at a time: as many as the largest group has. Less
 * would be slower by a few percent, more would not be faster.
 */
export const BATCH_BYTES = 256 * 1024

const LEAVES_MAX = BATCH_BYTES / LEAF_BYTES

/** How many bytes of parents go in at a time: as many parents as there is room for their values. */
const PAIRS_BYTES = LEAVES_MAX * PARENT_BYTES

// The kernel's memory: the batch, and twice the room for its leaves' chaining values, which are
// joined from the one to the other and back. It takes whole sets of lanes, so that it may read and
// write a little more than there is.
const VALUES_BYTES = (LEAVES_MAX + LANES) * CHAINING_VALUE_BYTES
const BATCH = 0
const VALUES = BATCH_BYTES + LANES * LEAF_BYTES
const OTHER_VALUES = VALUES + VALUES_BYTES
const PAGES = Math.ceil((OTHER_VALUES + VALUES_BYTES) / 65_536)

/** What is used of WebAssembly, which the types of Node.js leave out. */
interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: KernelExports }
}

interface KernelExports {
  readonly run: RunKernel
  readonly memory: { readonly buffer: ArrayBuffer }
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }

/** Computes chaining values by four in WebAssembly's SIMD. */
export class SimdSubtreeHasher implements SubtreeHasher {
  readonly #run: RunKernel
  readonly #memory: Uint8Array

  private constructor({ run, memory }: KernelExports) {
    this.#run = run
    this.#memory = new Uint8Array(memory.buffer)
  }

  /** Makes and compiles the kernel, which takes some 10 ms; undefined where there is no SIMD. */
  static compile(): SimdSubtreeHasher | undefined {
    const kernel = simdKernel(PAGES)
    if (!WebAssembly.validate(kernel)) return undefined
    return new SimdSubtreeHasher(new WebAssembly.Instance(new WebAssembly.Module(kernel)).exports)
  }

  groups(bytes: Uint8Array, firstGroup: number, groupLog: number): Uint8Array {
    const groupBytes = LEAF_BYTES << groupLog
    const values = new Uint8Array(Math.ceil(bytes.length / groupBytes) * CHAINING_VALUE_BYTES)
    const firstLeaf = firstGroup * 2 ** groupLog
    let end = 0
    for (let at = 0; at < bytes.length; at += BATCH_BYTES) {
      const batch = bytes.subarray(at, at + BATCH_BYTES)
      let count = this.#leaves(batch, firstLeaf + at / LEAF_BYTES)
      let from = VALUES
      for (let level = 0; level < groupLog; level++) {
        const to = from === VALUES ? OTHER_VALUES : VALUES
        count = this.#join(from, count, to)
        from = to
      }
      const length = count * CHAINING_VALUE_BYTES
      values.set(this.#memory.subarray(from, from + length), end)
      end += length
    }
    return values
  }

  parents(pairs: Uint8Array): Uint8Array {
    const values = new Uint8Array(pairs.length / 2)
    for (let at = 0; at < pairs.length; at += PAIRS_BYTES) {
      const batch = pairs.subarray(at, at + PAIRS_BYTES)
      this.#memory.set(batch, BATCH)
      this.#parents(BATCH, batch.length / PARENT_BYTES, FLAGS.parent, VALUES)
      values.set(this.#memory.subarray(VALUES, VALUES + batch.length / 2), at / 2)
    }
    return values
  }

  root(pair: Uint8Array): Uint8Array {
    this.#memory.set(pair, BATCH)
    this.#parents(BATCH, 1, FLAGS.parent | FLAGS.root, VALUES)
    return this.#memory.slice(VALUES, VALUES + CHAINING_VALUE_BYTES)
  }

  /** Leaves the chaining values of a batch's leaves in {@link VALUES}; says how many they are. */
  #leaves(batch: Uint8Array, firstLeaf: number): number {
    this.#memory.set(batch, BATCH)
    const full = Math.floor(batch.length / LEAF_BYTES)
    if (full > 0) this.#leafSets(BATCH, full, LEAF_BYTES, firstLeaf, VALUES)
    const rest = batch.length % LEAF_BYTES
    if (rest === 0) return full
    const begin = BATCH + full * LEAF_BYTES
    this.#memory.fill(0, begin + rest, begin + LEAF_BYTES)
    this.#leafSets(begin, 1, rest, firstLeaf + full, VALUES + full * CHAINING_VALUE_BYTES)
    return full + 1
  }

  /** Hashes leaves that all have as many bytes. */
  #leafSets(from: number, count: number, bytes: number, firstLeaf: number, to: number): void {
    const blocks = Math.ceil(bytes / BLOCK_BYTES)
    const lastBlockBytes = bytes - (blocks - 1) * BLOCK_BYTES
    const sets = Math.ceil(count / LANES)
    const { leafStart, leafEnd } = FLAGS
    const counted = [firstLeaf, 1] as const
    this.#run(from, LEAF_BYTES, sets, blocks, lastBlockBytes, 0, leafStart, leafEnd, ...counted, to)
  }

  /** Joins chaining values by two; an odd one at the end stays. Says how many there are then. */
  #join(from: number, count: number, to: number): number {
    const pairs = Math.floor(count / 2)
    if (pairs > 0) this.#parents(from, pairs, FLAGS.parent, to)
    if (count % 2 === 0) return pairs
    const last = from + 2 * pairs * CHAINING_VALUE_BYTES
    const end = to + pairs * CHAINING_VALUE_BYTES
    this.#memory.copyWithin(end, last, last + CHAINING_VALUE_BYTES)
    return pairs + 1
  }

  #parents(from: number, count: number, flags: number, to: number): void {
    const sets = Math.ceil(count / LANES)
    this.#run(from, PARENT_BYTES, sets, 1, BLOCK_BYTES, flags, 0, 0, 0, 0, to)
  }
}
