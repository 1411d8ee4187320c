import type { ChunkRef } from '../castore/blob-store.ts'

/** What is told of the chunks of one stretch of a NAR, until that has ended. */
export interface Stretch {
  /** A chunk is stored. */
  tell(chunk: ChunkRef): void
  /** All chunks of it have been told. */
  end(): void
}

/**
 * Tells a listener of stored chunks in the order of the NAR, though several stretches of it are
 * stored at once: what a later one tells waits for those before it to end. Who waits is bounded by
 * how many stretches are under way.
 */
export class OrderedTelling {
  readonly #listener: (chunk: ChunkRef) => void
  readonly #open: { waiting: ChunkRef[]; isOver: boolean }[] = []

  constructor(listener: (chunk: ChunkRef) => void) {
    this.#listener = listener
  }

  /** Begins the next stretch of the NAR. */
  begin(): Stretch {
    const stretch = { waiting: [] as ChunkRef[], isOver: false }
    this.#open.push(stretch)
    return {
      tell: (chunk) => {
        if (this.#open[0] === stretch) this.#listener(chunk)
        else stretch.waiting.push(chunk)
      },
      end: () => {
        stretch.isOver = true
        this.#goOn()
      },
    }
  }

  #goOn(): void {
    while (this.#open[0]?.isOver === true) {
      this.#open.shift()
      for (const chunk of this.#open[0]?.waiting.splice(0) ?? []) this.#listener(chunk)
    }
  }
}
