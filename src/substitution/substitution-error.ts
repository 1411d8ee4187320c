import { FaultError } from '../foundation/fault.ts'

/** What can keep a path, or something in it, from coming here. */
export type SubstitutionFault =
  /** There were offers, and each of them failed; `causes` says how. */
  | { readonly code: 'offers-failed'; readonly storePathHash: string; readonly causes: unknown[] }
  /** Nobody who is reached has the store path, signed by somebody trusted. */
  | { readonly code: 'path-absent'; readonly path: string }
  /** A Directory or blob, of that path or digest, is neither here nor to be had any more. */
  | { readonly code: 'content-missing'; readonly what: string }
  | PlaceFault

/** What can be wrong with a place in a store path; `path` is for people. */
export interface PlaceFault {
  readonly code: /** There is nothing of that name. */
    | 'name-absent'
    /** Something before the last name is no directory. */
    | 'no-directory'
    /** It is no file, which is what was asked for. */
    | 'no-file'
    /** A symlink, or `..`, leads out of the store path. */
    | 'leads-outside'
    /** Symlinks lead to each other. */
    | 'link-loop'
    /** There is more below it than is listed. */
    | 'too-large'
  readonly path: string
}

/** An error of substituting, with its fault. */
export class SubstitutionError extends FaultError<SubstitutionFault> {}
