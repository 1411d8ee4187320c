import type { Mark, MarkKind, MarksState, ShareMarks } from '../share-marks.ts'

/** Marks in memory: the twin of those in Level, for tests and simulations. */
export class MemoryShareMarks implements ShareMarks {
  readonly #generations = new Map<string, number>()
  #state: MarksState | undefined

  generationOf(kind: MarkKind, key: Uint8Array): number {
    return this.#generations.get(nameOf(kind, key)) ?? 0
  }

  async mark(marks: readonly Mark[], generation: number): Promise<void> {
    for (const { kind, key } of marks) this.#generations.set(nameOf(kind, key), generation)
  }

  async state(): Promise<MarksState | undefined> {
    return this.#state
  }

  async setState(state: MarksState): Promise<void> {
    this.#state = state
  }

  async dropBefore(generation: number): Promise<void> {
    for (const [name, of] of this.#generations) if (of < generation) this.#generations.delete(name)
  }

  async close(): Promise<void> {}
}

function nameOf(kind: MarkKind, key: Uint8Array): string {
  return `${kind} ${Buffer.from(key).toString('latin1')}`
}
