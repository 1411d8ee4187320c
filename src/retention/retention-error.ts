import { FaultError } from '../foundation/fault.ts'

/** All that can go wrong in keeping the store in bounds. */
export type RetentionFault =
  | { readonly code: 'not-held'; readonly storePath: string }
  | { readonly code: 'not-pinned'; readonly storePath: string }
  /** Somebody holds a lease for longer than a collection waits. */
  | { readonly code: 'busy' }

/** An error of retention, with its fault. */
export class RetentionError extends FaultError<RetentionFault> {}
