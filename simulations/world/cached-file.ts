import { type Random, shuffled } from '../../src/foundation/random.ts'

/** What a disk writes whole or not at all, in bytes. */
export const SECTOR_BYTES = 512

type Change =
  | { readonly type: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly type: 'cut'; readonly length: number }

/** How changes fare that were not synced when the power goes. */
export type Loss = 'all-kept' | 'all-lost' | 'in-order' | 'any-order'

/**
 * A file as the system shows it, from its cache, and as stable storage holds it: between the two
 * lie the changes that were not synced.
 */
export class CachedFile {
  #cache: Buffer
  #stable: Buffer
  #unsynced: Change[] = []
  modifiedMs = 0

  constructor() {
    this.#cache = Buffer.alloc(0)
    this.#stable = Buffer.alloc(0)
  }

  get length(): number {
    return this.#cache.length
  }

  read(target: Uint8Array, position: number): number {
    const bytes = this.#cache.subarray(position, position + target.length)
    target.set(bytes)
    return bytes.length
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length > 0) this.#change({ type: 'write', position, bytes: Uint8Array.from(bytes) })
  }

  cut(length: number): void {
    this.#change({ type: 'cut', length })
  }

  /** Makes all that was changed stable. */
  sync(): void {
    for (const change of this.#unsynced) this.#stable = applied(this.#stable, change)
    this.#unsynced = []
  }

  /**
   * Fails to, as systems do: what could not be written counts as written from then on. In the cache
   * it is still there, or, where that is `dropped`, not even that.
   */
  failSync(random: Random, isDropped: boolean): void {
    for (const change of this.#unsynced) {
      if (random.integer(2) === 0) this.#stable = applied(this.#stable, change)
      // The length is the file system's own matter, and comes to stable storage by its journal.
      else if (change.type === 'write') {
        const { position, bytes } = change
        const end = Math.max(this.#stable.length, position + bytes.length)
        this.#stable = resized(this.#stable, end)
      }
    }
    this.#unsynced = []
    if (isDropped) this.#cache = copyOf(this.#stable)
  }

  /** Leaves of the file what a power cut does. */
  losePower(random: Random, loss: Loss): void {
    for (const change of survivors(this.#unsynced, random, loss)) {
      this.#stable = applied(this.#stable, change)
    }
    this.#unsynced = []
    this.#cache = copyOf(this.#stable)
  }

  #change(change: Change): void {
    this.#cache = applied(this.#cache, change)
    this.#unsynced.push(change)
  }
}

function survivors(changes: readonly Change[], random: Random, loss: Loss): Change[] {
  switch (loss) {
    case 'all-kept':
      return [...changes]
    case 'all-lost':
      return []
    case 'in-order': {
      const kept = random.integer(changes.length + 1)
      const torn = changes[kept]
      return [...changes.slice(0, kept), ...(torn === undefined ? [] : partsOf(torn, random, true))]
    }
    case 'any-order':
      return shuffled(changes, random).flatMap((change) => {
        const fate = random.integer(3)
        if (fate === 0) return []
        return fate === 1 ? [change] : partsOf(change, random, false)
      })
  }
}

/** Some of the sectors of a write: the first ones, or any. */
function partsOf(change: Change, random: Random, isInOrder: boolean): Change[] {
  if (change.type === 'cut') return []
  const parts: Change[] = []
  const { position, bytes } = change
  let at = 0
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES))
    const isKept = random.integer(2) === 0
    if (!isKept && isInOrder) break
    if (isKept) {
      parts.push({ type: 'write', position: position + at, bytes: bytes.subarray(at, end) })
    }
    at = end
  }
  return parts
}

/** What lies between the end of a file and a write behind it is zeros. */
function applied(content: Buffer, change: Change): Buffer {
  if (change.type === 'cut') return resized(content, change.length)
  const { position, bytes } = change
  const next = resized(content, Math.max(content.length, position + bytes.length))
  next.set(bytes, position)
  return next
}

/** In memory of its own, none of a pool's. */
function copyOf(content: Buffer): Buffer {
  const copy = Buffer.alloc(content.length)
  content.copy(copy)
  return copy
}

/** A buffer of that length, in place where there is room behind it. */
function resized(content: Buffer, length: number): Buffer {
  if (length <= content.length) return content.subarray(0, length)
  const room = content.buffer.byteLength - content.byteOffset
  if (room < length || content.byteOffset !== 0) {
    const grown = Buffer.alloc(Math.max(4096, 2 * length))
    content.copy(grown)
    return grown.subarray(0, length)
  }
  const grown = Buffer.from(content.buffer, 0, length)
  grown.fill(0, content.length)
  return grown
}
