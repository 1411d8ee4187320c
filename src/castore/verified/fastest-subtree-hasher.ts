import { PlainSubtreeHasher } from './plain-subtree-hasher.ts'
import { SimdSubtreeHasher } from './simd-subtree-hasher.ts'
import type { SubtreeHasher } from './subtree-hasher.ts'

let fastest: SubtreeHasher | undefined

/**
 * The fastest hasher that this machine can run, made when it is first asked for. All share it: it
 * keeps nothing from one call to the next, and each further one would cost compiling and memory.
 */
export function fastestSubtreeHasher(): SubtreeHasher {
  fastest ??= SimdSubtreeHasher.compile() ?? new PlainSubtreeHasher()
  return fastest
}
