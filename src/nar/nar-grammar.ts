import { narStrings } from './nar-writer.ts'

/** A run of keywords as it stands in a NAR. */
export interface Keywords {
  readonly bytes: Uint8Array
  /** For each byte, whether it is padding. */
  readonly padding: readonly boolean[]
}

/** The keywords as they stand in a NAR, one after the other. */
export function keywords(...words: string[]): Keywords {
  const bytes = narStrings(...words)
  const padding = words.flatMap((word) => {
    const begin = 8 + word.length
    return Array.from({ length: narStrings(word).length }, (_, i) => i >= begin)
  })
  return { bytes, padding }
}

/** What comes of holding bytes against alternatives. */
export type Match<T> =
  | { readonly kind: 'found'; readonly choice: T; readonly length: number }
  /** All bytes there are fit; more are needed to tell. */
  | { readonly kind: 'open' }
  /** The byte at this distance fits no alternative. */
  | { readonly kind: 'wrong'; readonly distance: number; readonly padding: boolean }

/** Finds which of the alternatives, none a prefix of another, the bytes from `at` on begin with. */
export function matchKeywords<T extends { readonly words: Keywords }>(
  bytes: Uint8Array,
  at: number,
  alternatives: readonly T[],
): Match<T> {
  const available = bytes.length - at
  let distance = 0
  let padding = false
  for (const choice of alternatives) {
    const expected = choice.words.bytes
    const length = expected.length
    const compared = Math.min(length, available)
    let i = 0
    while (i < compared && bytes[at + i] === expected[i]) i++
    if (i === length) return { kind: 'found', choice, length }
    if (i === available) return { kind: 'open' }
    if (i < distance) continue
    distance = i
    padding = choice.words.padding[i]!
  }
  return { kind: 'wrong', distance, padding }
}
