import { FaultError } from '../../foundation/fault.ts'

/** All that can be wrong with a proof, or with what it is to prove. */
export type ProofFault =
  /** No blob has such a size. */
  | { readonly code: 'size-invalid'; readonly size: number }
  /** An outboard has not the one length that is right for its blob. */
  | { readonly code: 'outboard-length'; readonly bytes: number; readonly expected: number }
  /** The outboard is wrong: the parent over these groups is not what the digest asks for. */
  | { readonly code: 'parent-corrupt'; readonly firstGroup: number; readonly groups: number }
  /** The data are wrong: this group's bytes are not what the proven parents ask for. */
  | { readonly code: 'group-corrupt'; readonly group: number }
  /** The bytes end before the range that was to be proven. */
  | { readonly code: 'bytes-missing'; readonly at: number }
  /** There are bytes behind what was to be proven. */
  | { readonly code: 'bytes-beyond'; readonly at: number }

/** An error of proving, with its fault. */
export class ProofError extends FaultError<ProofFault> {}
