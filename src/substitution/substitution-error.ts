import { FaultError } from '../foundation/fault.ts'

/** What can keep a path from coming here. */
export type SubstitutionFault =
  /** There were offers, and each of them failed; `causes` says how. */
  { readonly code: 'offers-failed'; readonly storePathHash: string; readonly causes: unknown[] }

/** An error of substituting, with its fault. */
export class SubstitutionError extends FaultError<SubstitutionFault> {}
