import type { Call } from '../foundation/call.ts'
import type { RecordKind, RecordName, RecordStore } from './record-store.ts'

/** A record that is held, and what it takes up. */
export interface HeldRecord {
  readonly key: Uint8Array
  /** Content bytes. */
  readonly size: number
  /** Bytes in storage, its header included. */
  readonly storedBytes: number
  /**
   * When its segment was last written to, in milliseconds since 1970; infinite for the one that is
   * being written.
   */
  readonly writtenMs: number
}

/** How much of a segment is in use. */
export interface SegmentUsage {
  readonly segment: number
  /** Length of the file. */
  readonly bytes: number
  /** What the records that are still held take up of it. */
  readonly liveBytes: number
}

/** What compacting a segment came to. */
export interface Compacted {
  /** Bytes that records took which were moved on. */
  readonly movedBytes: number
  /** By how much less is taken up. */
  readonly freedBytes: number
}

/**
 * The port for whoever keeps a record store in order: goes through it, lets go of what nobody
 * needs, and gives the space back, while all others work on.
 */
export interface RecordKeeper extends RecordStore {
  /**
   * The records of a kind that were written before a time, in milliseconds since 1970, in the order
   * of their keys, many at a time. What was written shortly before may be left out, too: a segment
   * has one age.
   */
  records(kind: RecordKind, beforeMs: number, call: Call): AsyncIterable<readonly HeldRecord[]>

  /** Reads as `get` does, for who looks through the store: nothing is pardoned by it. */
  peek(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]>

  /**
   * Begins a collection: what anybody asks for or puts from now on can not be condemned. It ends
   * with {@link pardonAll}.
   */
  watch(): void

  /**
   * Says that these are to be removed soon. Whoever asks for one in the meantime, or puts it again,
   * has it pardoned. A crash pardons all.
   */
  condemn(names: readonly RecordName[]): void

  /** Whether this is condemned and not pardoned. */
  isCondemned(name: RecordName): boolean

  /** How many are condemned and not pardoned. */
  condemned(): number

  /** Ends a collection; what is condemned still is so no more. */
  pardonAll(): void

  /** Removes what is condemned still. */
  removeCondemned(call: Call): Promise<void>

  /** The segments that are full, and how much of each is in use. */
  segments(call: Call): Promise<SegmentUsage[]>

  /**
   * Moves what is held of a full segment to the end of the log, and removes its file.
   * @throws CastoreError 'record-corrupt' where it can not be read to its end; then it stays
   */
  compact(segment: number, call: Call): Promise<Compacted>

  /** Length of all segments, in bytes: what the store takes up but for its index. */
  diskBytes(call: Call): Promise<number>
}
