import type { Call } from '../foundation/call.ts'
import type { StorePath } from '../nix/store-path.ts'

/** What a clean-up is to do, beside keeping to the bounds of the configuration. */
export interface CleanUpInit {
  /** Says what would go, and lets it stay. */
  readonly isDryRun: boolean
  /** Content goes at once that nothing refers to, however young it is. */
  readonly isNow: boolean
  /** Bytes in storage to come down to; the configuration's bound where it is left out. */
  readonly maxBytes?: number | undefined
}

/** What a clean-up came to, or would come to. */
export interface CleanUpReport {
  readonly paths: readonly { readonly storePath: string; readonly narSize: number }[]
  readonly pathsKept: number
  readonly records: number
  /** What they take up in storage, in bytes. */
  readonly bytes: number
  /** Segments that were compacted, and by how many bytes the store is shorter for that. */
  readonly segments: number
  readonly freedBytes: number
  /** Length of all segments afterwards, in bytes. */
  readonly diskBytes: number
}

/** A path that is kept, however long nobody asks for it. */
export interface PinnedPath {
  readonly storePath: string
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number
}

/** What a verification looks at, in this order. */
export type VerifyPhase = 'records' | 'blobs' | 'directories' | 'paths'

/** Something that is not as it should be. */
export interface StoreFault {
  readonly phase: VerifyPhase
  /** What it concerns, in words. */
  readonly what: string
  /** Whether it is mended by now. */
  readonly isMended: boolean
}

/** How far a verification has got; `fault` where one has just been found. */
export interface VerifyReport {
  readonly phase: VerifyPhase
  readonly done: number
  readonly total: number
  /** Content bytes that were read and checked so far. */
  readonly bytes: number
  readonly fault?: StoreFault | undefined
}

/** What came of a path that was to be adopted. */
export interface AdoptedPath {
  readonly storePath: string
  /** It was here before. */
  readonly held: boolean
  readonly narSize: number
  /** Why it was not adopted; undefined where it is here now. */
  readonly error?: string | undefined
}

/** How far adopting has got; `path` where one has just come to its end. */
export interface AdoptReport {
  readonly done: number
  readonly total: number
  /** Bytes of NARs that were taken in so far. */
  readonly bytes: number
  readonly path?: AdoptedPath | undefined
}

/** Which paths of the machine's own store are adopted. */
export type AdoptSelection = readonly StorePath[] | { readonly which: 'all' | 'signed' }

/** The port to who keeps the store in order; the daemon, which knows all parts, implements it. */
export interface Upkeep {
  pin(paths: readonly StorePath[], call: Call): Promise<void>
  unpin(paths: readonly StorePath[], call: Call): Promise<void>
  pins(call: Call): AsyncIterable<PinnedPath>
  /** Takes in paths of the machine's own store where they lie. */
  adopt(
    selection: AdoptSelection,
    init: { readonly sign: boolean },
    call: Call,
  ): AsyncIterable<AdoptReport>
  cleanUp(init: CleanUpInit, call: Call): Promise<CleanUpReport>
  /** Checks all that is kept. With `isRepair` what is rotten is fetched anew, or let go of. */
  verify(init: { readonly isRepair: boolean }, call: Call): AsyncIterable<VerifyReport>
}
