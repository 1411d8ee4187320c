import { type BlobSource, readPacked } from '../../castore/blob-store.ts'
import type { Call } from '../../foundation/call.ts'
import { type Clock, deadline } from '../../foundation/clock.ts'
import type { RateLimit } from '../../foundation/rate-limit.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import { SendingSlots } from './sending-slots.ts'
import type { Answer, ChunkAnswer, Want } from './want.ts'

/**
 * About how many bytes of chunks go into one frame, and are read at once. The answers to other
 * questions wait until a frame is sent, seven times as long on a line that seven peers share.
 */
export const CHUNK_FRAME_BYTES = 256 * 1024

/** How many bytes of chunks are read, or wait to be taken, for all peers together. */
export const SERVING_BYTES_MAX = 64 * 1024 * 1024

/**
 * How many bytes of chunks are read for requests whose turn has not come yet. They have a share of
 * their own, or else they could take all the room that those in front of them need to end.
 */
export const SERVING_AHEAD_BYTES_MAX = 32 * 1024 * 1024

/** To how many peers chunks are sent at once, while each takes them quickly. */
export const SENDING_SLOTS = 8

/** Who takes a frame for longer than this, in milliseconds, does not keep its turn from others. */
export const SLOT_MS = 500

/** How often who waits for a chunk whose turn has not come is told that it will. */
export const SIGN_OF_LIFE_MS = 1_000

/** How many reads are under way ahead of the frame that is being sent. */
const READS_AHEAD = 1

type ChunksWant = Extract<Want, { type: 'chunks' }>

/** What it works with. */
export interface ChunkServingComponents {
  /** What peers may read. */
  readonly blobs: BlobSource
  readonly clock: Clock
  /** How fast chunks may be sent to all peers together; without end where it is left out. */
  readonly uploads?: RateLimit | undefined
}

/** Answers requests for chunks, to all peers from one budget of memory, and of the line's. */
export class ChunkServing {
  readonly #components: ChunkServingComponents
  readonly #room = new Semaphore(SERVING_BYTES_MAX)
  readonly #aheadRoom = new Semaphore(SERVING_AHEAD_BYTES_MAX)
  readonly #slots = new SendingSlots<string>({ slots: SENDING_SLOTS })
  #bytesServed = 0

  constructor(components: ChunkServingComponents) {
    this.#components = components
  }

  /** Content bytes sent to peers so far. */
  get bytesServed(): number {
    return this.#bytesServed
  }

  /** Answers one request; `sending` lets one request of a channel send at a time. */
  async serve(
    want: ChunksWant,
    sending: Semaphore,
    send: (answer: Answer) => Promise<void>,
    call: Call,
  ): Promise<void> {
    const { blobs } = this.#components
    const sizes = await blobs.chunkSizes(want.digests, call)
    const absent = sizes.flatMap((size, index) => (size === undefined ? [index] : []))
    if (absent.length > 0) await send({ type: 'absent', indices: absent })
    const read = async (batch: readonly number[]) => {
      const bytes = batch.reduce((sum, index) => sum + sizes[index]!, 0)
      const room = await (turn === undefined ? this.#aheadRoom : this.#room).acquire(bytes, call)
      rooms.add(room)
      return { room, chunks: await readBatch(blobs, want, batch, call) }
    }
    const rooms = new Set<Disposable>()
    let turn: Disposable | undefined
    try {
      for await (const { room, chunks } of readAhead(batchesOf(sizes), READS_AHEAD, read)) {
        turn ??= await sending.acquire(1, call)
        await this.#inTurn(
          chunks.map(({ index }) => want.digests[index]!.hex),
          () => this.#sendBatch(chunks, send, call),
          call,
        )
        room[Symbol.dispose]()
        rooms.delete(room)
      }
    } finally {
      turn?.[Symbol.dispose]()
      for (const room of rooms) room[Symbol.dispose]()
    }
  }

  /** Waits for one of the turns that all peers share. */
  async #inTurn(names: readonly string[], work: () => Promise<void>, call: Call): Promise<void> {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const waiting = { again: resolve, next: () => names[0] }
      if (this.#slots.take(names, waiting)) break
      try {
        await unlessAborted(promise, call.signal)
      } catch (error) {
        this.#slots.leave(waiting)
        throw error
      }
    }
    let isHeld = true
    const release = (): void => {
      if (isHeld) this.#slots.release()
      isHeld = false
    }
    const limit = deadline(this.#components.clock, SLOT_MS, 'taking a frame')
    limit.signal.addEventListener('abort', release)
    try {
      await work()
    } finally {
      limit.clear()
      release()
    }
  }

  /** Sends chunks when their turn comes; until then the peer is told that they will come. */
  async #sendBatch(
    chunks: readonly ChunkAnswer[],
    send: (answer: Answer) => Promise<void>,
    call: Call,
  ): Promise<void> {
    const { uploads, clock } = this.#components
    const bytes = chunks.reduce((sum, { data }) => sum + data.length, 0)
    let waitMs = uploads?.take(bytes) ?? 0
    while (waitMs > 0) {
      const stepMs = Math.min(waitMs, SIGN_OF_LIFE_MS)
      await clock.sleep(stepMs, call)
      waitMs -= stepMs
      if (waitMs > 0) await send({ type: 'chunks', chunks: [] })
    }
    this.#bytesServed += bytes
    await send({ type: 'chunks', chunks })
  }
}

/** Groups the indices of what is held into batches of about one frame. */
function batchesOf(sizes: readonly (number | undefined)[]): number[][] {
  const batches: number[][] = []
  let batch: number[] = []
  let bytes = 0
  for (const [index, size] of sizes.entries()) {
    if (size === undefined) continue
    if (bytes > 0 && bytes + size > CHUNK_FRAME_BYTES) {
      batches.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(index)
    bytes += size
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}

async function readBatch(
  blobs: BlobSource,
  { digests, packed }: ChunksWant,
  batch: readonly number[],
  call: Call,
): Promise<ChunkAnswer[]> {
  const wanted = batch.map((index) => digests[index]!)
  if (packed !== true) {
    const contents = await blobs.readChunks(wanted, call)
    return contents.flatMap((data, i) => (data === undefined ? [] : [{ index: batch[i]!, data }]))
  }
  const contents = await readPacked(blobs, wanted, call)
  return contents.flatMap((chunk, i) => {
    if (chunk === undefined) return []
    const { bytes: data, packing, size } = chunk
    return [{ index: batch[i]!, data, ...(packing === 'zstd' ? { size } : {}) }]
  })
}
