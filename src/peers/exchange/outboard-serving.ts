import {
  type BlobSource,
  blobBytes,
  type ChunkRef,
  OUTBOARD_BYTES_MAX,
} from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { TreeShape } from '../../castore/verified/tree-shape.ts'
import type { Call } from '../../foundation/call.ts'
import { type Clock, DeadlineError, withDeadline } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Semaphore } from '../../foundation/semaphore.ts'

/** How many bytes of outboards are read, or wait to be taken, for all peers together. */
export const SERVING_OUTBOARD_BYTES_MAX = 32 * 1024 * 1024

/**
 * How long a peer’s request waits for one outboard, which may have to be made first; afterwards the
 * rest of the request is answered without. Peers that ask give up on silence a little later.
 */
export const OUTBOARD_MS = 2_000

/** An outboard's bytes, if it could be had, and the room that they take up until disposed of. */
export interface LentOutboard extends Disposable {
  readonly bytes: Uint8Array | undefined
}

/** The outboards for one request of a peer's: what can not be had soon is left out. */
export class OutboardServing {
  readonly #blobs: Pick<BlobSource, 'outboard'>
  readonly #clock: Clock
  readonly #room: Semaphore
  #isLate = false

  constructor(components: {
    readonly blobs: Pick<BlobSource, 'outboard'>
    readonly clock: Clock
    /** Shared by all requests; of {@link SERVING_OUTBOARD_BYTES_MAX}. */
    readonly room: Semaphore
  }) {
    this.#blobs = components.blobs
    this.#clock = components.clock
    this.#room = components.room
  }

  /** The outboard of a blob that is held, with what it takes up in memory accounted for. */
  async lend(digest: Digest, layout: readonly ChunkRef[], call: Call): Promise<LentOutboard> {
    const { outboardBytes } = new TreeShape(blobBytes(layout))
    if (this.#isLate || outboardBytes > OUTBOARD_BYTES_MAX) return NONE
    let room: Disposable | undefined
    try {
      const bytes = await withDeadline(
        this.#clock,
        OUTBOARD_MS,
        'reading an outboard',
        call,
        async (timed) => {
          room = await this.#room.acquire(outboardBytes, timed)
          return (await this.#blobs.outboard(digest, timed))?.bytes
        },
      )
      return { bytes, [Symbol.dispose]: () => room?.[Symbol.dispose]() }
    } catch (error) {
      room?.[Symbol.dispose]()
      call.signal.throwIfAborted()
      if (error instanceof DeadlineError) this.#isLate = true
      else if (!(error instanceof CastoreError)) throw error
      return NONE
    }
  }
}

const NONE: LentOutboard = { bytes: undefined, [Symbol.dispose]: () => undefined }
