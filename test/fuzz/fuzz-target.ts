/** A decoder to throw bytes at. */
export interface FuzzTarget {
  /** What `npm run fuzz -- NAME` calls it, and the folder of its corpus. */
  readonly name: string
  /** Valid inputs, for mutation to begin from. */
  readonly seeds: readonly Uint8Array[]
  /** What inputs of this kind are made of, so that mutation can put whole words in. */
  readonly dictionary?: readonly (string | Uint8Array)[]
  /** How many inputs `npm test` tries; fewer for what touches the disk. */
  readonly testRuns?: number
  /**
   * Decodes an input and checks what must be true of it whenever it is accepted. Throws what
   * {@link isRefusal} knows where the input is refused, and anything else where something is wrong.
   */
  check(input: Uint8Array): void | Promise<void>
  /** Whether an error is how this decoder refuses bad input. */
  isRefusal(error: unknown): boolean
}

/** Something that must be true of an accepted input is not. */
export class Broken extends Error {}

/** Throws {@link Broken} where a property does not hold. */
export function holds(property: boolean, words: string): void {
  if (!property) throw new Broken(words)
}
