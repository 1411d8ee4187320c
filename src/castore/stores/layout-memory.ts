import type { Digest } from '../../foundation/digest.ts'
import type { ChunkRef } from '../blob-store.ts'

/** How many chunks the lists name together that are remembered: about 12 MiB. */
export const REMEMBERED_CHUNKS_MAX = 65_536

/** Shorter lists are decoded as fast as they are found again. */
const LONG_LIST_CHUNKS = 256

/** A chunk list, and the length of the record that it was read from, in bytes. */
export interface RememberedLayout {
  readonly layout: readonly ChunkRef[]
  readonly recordBytes: number
}

/**
 * Remembers long chunk lists, those that were wanted last: to decode the list of a blob of 4 GiB
 * takes longer than to read from it. Whether they are still held is for the caller to find out.
 */
export class LayoutMemory {
  readonly #layouts = new Map<string, RememberedLayout>()
  #chunks = 0

  get({ hex }: Digest): RememberedLayout | undefined {
    const known = this.#layouts.get(hex)
    if (known === undefined) return undefined
    this.#layouts.delete(hex) // to the end
    this.#layouts.set(hex, known)
    return known
  }

  put({ hex }: Digest, remembered: RememberedLayout): void {
    const { length } = remembered.layout
    if (length < LONG_LIST_CHUNKS || length > REMEMBERED_CHUNKS_MAX) return
    this.#forget(hex)
    this.#layouts.set(hex, remembered)
    this.#chunks += length
    for (const oldest of this.#layouts.keys()) {
      if (this.#chunks <= REMEMBERED_CHUNKS_MAX) return
      this.#forget(oldest)
    }
  }

  #forget(hex: string): void {
    this.#chunks -= this.#layouts.get(hex)?.layout.length ?? 0
    this.#layouts.delete(hex)
  }
}
