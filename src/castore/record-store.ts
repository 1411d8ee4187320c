import type { Call } from '../foundation/call.ts'

/** The kinds of records that a node keeps. The numbers are on disk: none gets a new meaning. */
export const RECORD_KINDS = {
  chunk: 1,
  /** How a blob of several chunks is put together. */
  layout: 2,
  directory: 3,
  'path-info': 4,
  /** What an uploaded NAR became, by its hash. */
  'uploaded-nar': 5,
  /** Which NAR an uploaded file held, and how, by its name. */
  'uploaded-file': 6,
  /** Where the text of a log, a realisation and their like is, by its name. */
  document: 7,
  /** What proves ranges of a blob of several chunks: the parents of its BLAKE3 tree. */
  outboard: 8,
  /** Whether its owner shares a path, whatever the policy says of it. */
  'share-choice': 9,
  /** When a path was last asked for, by the hash part of its store path. */
  use: 10,
  /** That a path is to be kept, and all that it refers to. */
  pin: 11,
  /** That a path lies in the machine's own store, by the hash part of its store path. */
  adopted: 12,
} as const

export type RecordKind = keyof typeof RECORD_KINDS

/** Length of the longest key, in bytes. */
export const RECORD_KEY_BYTES_MAX = 32

/** Length of the longest record, in bytes: room for any chunk and for very wide Directories. */
export const RECORD_BYTES_MAX = 256 * 1024 * 1024

export interface StoredRecord {
  readonly key: Uint8Array
  /** Its content. */
  readonly bytes: Uint8Array
  /** What is to be stored in its place: a zstd frame of it, or where else on this machine it is. */
  readonly stored?: PackedBytes
}

/** How stored bytes stand for content. */
export type Packing = 'raw' | 'zstd' | 'elsewhere'

export interface PackedBytes {
  readonly packing: Packing
  readonly bytes: Uint8Array
}

/** A record as it is stored. */
export interface PackedRecord extends PackedBytes {
  /** Length of the content in bytes. */
  readonly size: number
}

/** A record by its name. */
export interface RecordName {
  readonly kind: RecordKind
  readonly key: Uint8Array
}

/** How much of one kind there is. */
export interface RecordTotals {
  readonly records: number
  /** Content bytes, as given to `put`. */
  readonly bytes: number
  /** What they take up in storage. */
  readonly storedBytes: number
}

/**
 * The port to what a node keeps: byte strings under a kind and a key. Chunks and Directories are
 * stored under the digest of their content, the others under names of their own; these may be put
 * anew, the latest counts.
 */
export interface RecordStore {
  /** The content length of each record in bytes, undefined for what is absent. */
  sizes(kind: RecordKind, keys: readonly Uint8Array[], call: Call): Promise<(number | undefined)[]>

  /**
   * Reads records, undefined for what is absent. Content is checked against its digest, or its
   * checksum where its key is no digest. @throws CastoreError 'record-corrupt'
   */
  get(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]>

  /**
   * Reads records as they are stored, where that is raw or zstd; undefined for what is absent, or
   * has to be unpacked by `get`. The bytes are those that were put, but nothing says that they
   * are what their key names. @throws CastoreError 'record-corrupt'
   */
  getPacked(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(PackedRecord | undefined)[]>

  /**
   * Takes records in; they can be read when it resolves. A content-addressed record that is held
   * already is not stored again. The order of puts is the order of survival: after a crash, what
   * is there is a prefix of what was put.
   */
  put(kind: RecordKind, records: readonly StoredRecord[], call: Call): Promise<void>

  /** Forgets records; those that are absent are no matter. In the order of puts for a crash. */
  remove(names: readonly RecordName[], call: Call): Promise<void>

  /** Resolves once everything put before is on stable storage. */
  sync(call: Call): Promise<void>

  /** The keys of a kind, in the order of their bytes. */
  keys(kind: RecordKind, call: Call): AsyncIterable<Uint8Array>

  totals(kind: RecordKind): RecordTotals
}

/** Whether a kind's records are named by the BLAKE3 digest of their content. */
export function isContentAddressed(kind: RecordKind): boolean {
  return kind === 'chunk' || kind === 'directory'
}

/** Whether a kind's records are named by digests, and kept as long as something refers to them. */
export function isCollected(kind: RecordKind): boolean {
  return isContentAddressed(kind) || kind === 'layout' || kind === 'outboard'
}
