import { LEAF_BYTES } from '../../../src/castore/verified/blake3-compression.ts'
import {
  type BuiltOutboard,
  OutboardBuilder,
  type OutboardBuilderInit,
} from '../../../src/castore/verified/outboard-builder.ts'
import { PlainSubtreeHasher } from '../../../src/castore/verified/plain-subtree-hasher.ts'
import { GROUP_LOG } from '../../../src/castore/verified/tree-shape.ts'

const plain = new PlainSubtreeHasher()

/** Digest and outboard of content that is pushed at once. */
export function built(content: Uint8Array, init: OutboardBuilderInit = {}): BuiltOutboard {
  const builder = new OutboardBuilder(init)
  builder.push(content)
  return builder.finish()
}

/** The outboard as its definition has it: a parent, what is left of it, what is right of it. */
export function outboardByDefinition(content: Uint8Array, groupLog = GROUP_LOG): Uint8Array {
  const groupBytes = LEAF_BYTES << groupLog
  const visit = (from: number, to: number): { value: Uint8Array; parents: Uint8Array } => {
    const group = from / groupBytes
    if (to - from <= groupBytes) {
      const bytes = content.subarray(from, to)
      return { value: plain.groups(bytes, group, groupLog), parents: new Uint8Array(0) }
    }
    const middle = from + groupBytes * 2 ** Math.floor(Math.log2((to - from - 1) / groupBytes))
    const left = visit(from, middle)
    const right = visit(middle, to)
    const pair = Buffer.concat([left.value, right.value])
    const parents = Buffer.concat([pair, left.parents, right.parents])
    return { value: plain.parents(pair), parents }
  }
  return visit(0, content.length).parents
}
