import type { BlobReader } from '../castore/blob-store.ts'
import { TreeShape } from '../castore/verified/tree-shape.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'

/** For how long a blob that is elsewhere stays open after somebody has wanted it. */
export const OPEN_BLOB_MS = 60_000

/** How many blobs that are elsewhere stay open. */
export const OPEN_BLOBS_MAX = 1024

/** How many bytes of outboards the blobs that stay open have together; one may have more. */
export const OPEN_OUTBOARD_BYTES_MAX = 32 * 1024 * 1024

interface OpenBlob {
  readonly reader: BlobReader
  readonly outboardBytes: number
  readonly until: number
}

/**
 * Keeps blobs open of which parts are read elsewhere: what proves a part of a large blob is longer
 * than most parts, and serves for all of them. One that fails to be read is forgotten, so that the
 * next one who wants it begins anew.
 */
export class OpenBlobs {
  readonly #clock: Clock
  /** In the order in which they were wanted last. */
  readonly #open = new Map<string, OpenBlob>()
  #outboardBytes = 0

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  /** The blob that was put under this key, if it is still open. */
  get(key: string): BlobReader | undefined {
    const open = this.#open.get(key)
    if (open === undefined) return undefined
    this.delete(key)
    if (open.until <= this.#clock.now()) return undefined
    this.#add(key, open)
    return open.reader
  }

  /** Keeps a blob open; the reader that comes back is the one to read it by. */
  put(key: string, inner: BlobReader): BlobReader {
    this.delete(key)
    const reader = new WatchedReader(inner, () => {
      if (this.#open.get(key)?.reader === reader) this.delete(key)
    })
    this.#add(key, { reader, outboardBytes: new TreeShape(inner.size).outboardBytes })
    this.#closeOldest()
    return reader
  }

  /** It is not wanted any more. */
  delete(key: string): void {
    this.#outboardBytes -= this.#open.get(key)?.outboardBytes ?? 0
    this.#open.delete(key)
  }

  #add(key: string, open: Omit<OpenBlob, 'until'>): void {
    this.#open.set(key, { ...open, until: this.#clock.now() + OPEN_BLOB_MS })
    this.#outboardBytes += open.outboardBytes
  }

  #closeOldest(): void {
    const nowMs = this.#clock.now()
    for (const [key, { until }] of this.#open) {
      const fits =
        this.#open.size <= OPEN_BLOBS_MAX && this.#outboardBytes <= OPEN_OUTBOARD_BYTES_MAX
      if ((fits && until > nowMs) || this.#open.size === 1) return
      this.delete(key)
    }
  }
}

/** Tells of a read that fails. */
class WatchedReader implements BlobReader {
  readonly size: number
  readonly #inner: BlobReader
  readonly #onFailure: () => void

  constructor(inner: BlobReader, onFailure: () => void) {
    this.size = inner.size
    this.#inner = inner
    this.#onFailure = onFailure
  }

  async *read(offset: number, call: Call, length?: number): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#inner.read(offset, call, length)
    } catch (error) {
      if (!call.signal.aborted) this.#onFailure()
      throw error
    }
  }
}
