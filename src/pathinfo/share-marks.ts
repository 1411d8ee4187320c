/** What a mark is about. */
export type MarkKind =
  /** A path that is shared, by its hash part: all that it reaches is marked. */
  | 'shared-path'
  /** The same, by a digest of the path and its root: so it is known whether that is another now. */
  | 'shared-root'
  /** A path that is not shared, by its hash part, so that it need not be looked at again. */
  | 'private-path'
  /** A Directory that a shared path reaches: so are all below it. */
  | 'directory'
  /** A blob or a chunk that a shared path reaches. */
  | 'blob'

export interface Mark {
  readonly kind: MarkKind
  readonly key: Uint8Array
}

/** What the marks as a whole stand for. */
export interface MarksState {
  /** What is marked from now on is marked with this number. */
  readonly generation: number
  /** Marks of earlier generations count for nothing. */
  readonly floor: number
  /** The fingerprint of the policy that the marks were made by. */
  readonly policy: string
  /** Whether whoever made them has come to its end in order. */
  readonly isClosed: boolean
}

/**
 * The port to what is known of what shared paths reach. All of it follows from the paths that are
 * held, and may be lost.
 */
export interface ShareMarks {
  /** In which generation it was last marked; 0 where it never was. Takes microseconds. */
  generationOf(kind: MarkKind, key: Uint8Array): number
  /** Marks all or, after a crash, none of these. After one, none is there without those before. */
  mark(marks: readonly Mark[], generation: number): Promise<void>
  /** What was set last, undefined where nothing was. */
  state(): Promise<MarksState | undefined>
  /** It is on stable storage when this resolves. */
  setState(state: MarksState): Promise<void>
  /** Forgets what was last marked before a generation. */
  dropBefore(generation: number): Promise<void>
  close(): Promise<void>
}
