import {
  BLOCK_BYTES,
  CHAINING_VALUE_BYTES,
  compress,
  FLAGS,
  INITIAL_VALUE,
  LEAF_BYTES,
} from './blake3-compression.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'
import { PARENT_BYTES } from './tree-shape.ts'

/**
 * The tree of BLAKE3 in plain TypeScript: what the fast one is tested against, and what stands in
 * for it on machines whose WebAssembly has no SIMD.
 */
export class PlainSubtreeHasher implements SubtreeHasher {
  groups(bytes: Uint8Array, firstGroup: number, groupLog: number): Uint8Array {
    const groupBytes = LEAF_BYTES << groupLog
    const values: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += groupBytes) {
      const leaf = firstGroup * 2 ** groupLog + at / LEAF_BYTES
      values.push(subtree(bytes.subarray(at, at + groupBytes), leaf))
    }
    return Buffer.concat(values)
  }

  parents(pairs: Uint8Array): Uint8Array {
    const values: Uint8Array[] = []
    for (let at = 0; at < pairs.length; at += PARENT_BYTES) {
      values.push(parent(pairs.subarray(at, at + PARENT_BYTES), 0))
    }
    return Buffer.concat(values)
  }

  root(pair: Uint8Array): Uint8Array {
    return parent(pair, FLAGS.root)
  }
}

/** The chaining value of at least one byte of a blob, from its given leaf on. */
function subtree(bytes: Uint8Array, firstLeaf: number): Uint8Array {
  if (bytes.length <= LEAF_BYTES) return leaf(bytes, firstLeaf)
  let left = LEAF_BYTES
  while (left * 2 < bytes.length) left *= 2
  const halves = [
    subtree(bytes.subarray(0, left), firstLeaf),
    subtree(bytes.subarray(left), firstLeaf + left / LEAF_BYTES),
  ]
  return parent(Buffer.concat(halves), 0)
}

function leaf(bytes: Uint8Array, counter: number): Uint8Array {
  const chaining = Uint32Array.from(INITIAL_VALUE)
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = bytes.subarray(at, at + BLOCK_BYTES)
    const start = at === 0 ? FLAGS.leafStart : 0
    const end = at + BLOCK_BYTES >= bytes.length ? FLAGS.leafEnd : 0
    compress(chaining, {
      words: wordsOf(block),
      bytes: block.length,
      counter,
      flags: start | end,
    })
  }
  return bytesOf(chaining)
}

function parent(pair: Uint8Array, flags: number): Uint8Array {
  const chaining = Uint32Array.from(INITIAL_VALUE)
  const block = { words: wordsOf(pair), bytes: BLOCK_BYTES, counter: 0 }
  compress(chaining, { ...block, flags: FLAGS.parent | flags })
  return bytesOf(chaining)
}

function wordsOf(block: Uint8Array): Uint32Array {
  const padded = new Uint8Array(BLOCK_BYTES)
  padded.set(block)
  const view = new DataView(padded.buffer)
  return Uint32Array.from({ length: BLOCK_BYTES / 4 }, (_, i) => view.getUint32(4 * i, true))
}

function bytesOf(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(CHAINING_VALUE_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word, true)
  return bytes
}
