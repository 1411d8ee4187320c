import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import type { FilterNews } from '../filters/filter-news.ts'
import type { PullNews } from '../pulls/pull-news.ts'
import type { Availability } from '../swarm/availability.ts'

/** How many things one request may name. */
export const WANTS_MAX = 1024

/** What a peer can be asked for. */
export type Want =
  /** PathInfos by the 20-byte hash parts of their store paths. */
  | { readonly type: 'path-infos'; readonly hashes: readonly Uint8Array[] }
  /** All Directories below a root, parents first. */
  | { readonly type: 'closure'; readonly root: Digest }
  /** Directories alone, without what is below them. */
  | { readonly type: 'directories'; readonly digests: readonly Digest[] }
  /** How blobs are cut into chunks. */
  | {
      readonly type: 'layouts'
      readonly digests: readonly Digest[]
      /** Whether outboards are wanted with them. Not every peer has or knows them. */
      readonly outboards?: boolean
    }
  /** Chunks, and so also blobs of one chunk. */
  | {
      readonly type: 'chunks'
      readonly digests: readonly Digest[]
      /** Whether they may be answered as zstd frames. */
      readonly packed?: boolean
    }
  /** What a peer has of a root that both are fetching, now and from now on. */
  | {
      readonly type: 'swarm'
      readonly root: Digest
      /** The id of the list of pieces that their numbers are of. */
      readonly pieces: Uint8Array
    }
  /** Which paths a peer shares, as a filter under this key, now and from now on. */
  | { readonly type: 'filter'; readonly key: Uint8Array }
  /** What a peer does about a path that both want to pull from a cache, now and from now on. */
  | { readonly type: 'pull'; readonly name: Digest }

/** A chunk in an answer. */
export interface ChunkAnswer {
  readonly index: number
  readonly data: Uint8Array
  /** Set where `data` is a zstd frame: how long the chunk is said to be, in bytes. */
  readonly size?: number | undefined
}

/** What is answered; `index` counts within the request's list. */
export type Answer =
  | { readonly type: 'path-info'; readonly index: number; readonly pathInfo: PathInfo }
  | { readonly type: 'directories'; readonly encoded: readonly Uint8Array[] }
  | {
      readonly type: 'layout'
      readonly index: number
      readonly layout: readonly ChunkRef[]
      /** What is said to prove ranges of the blob, if it was asked for and can be had. */
      readonly outboard?: Uint8Array
    }
  | {
      readonly type: 'chunks'
      readonly chunks: readonly ChunkAnswer[]
    }
  | { readonly type: 'availability'; readonly availability: Availability }
  | { readonly type: 'filter'; readonly news: FilterNews }
  | { readonly type: 'pull'; readonly news: PullNews }
  | { readonly type: 'absent'; readonly indices: readonly number[] }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'done' }
