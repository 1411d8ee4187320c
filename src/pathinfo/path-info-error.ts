import { FaultError } from '../foundation/fault.ts'

/** What can be wrong with what is said about a store path. */
export type PathInfoFault =
  /** It breaks a rule of the format. */
  | { readonly code: 'bad-path-info'; readonly what: string }
  /** No trusted key vouches for it. */
  | { readonly code: 'untrusted'; readonly storePath: string }
  /** It bears the name of a trusted key that did not make the signature. */
  | { readonly code: 'forged'; readonly storePath: string; readonly keyName: string }
  /** Its content does not have the NAR hash or size that was signed. */
  | { readonly code: 'nar-mismatch'; readonly storePath: string }
  /** A signature to be added does not verify, or nobody knows the path. */
  | { readonly code: 'bad-signature'; readonly storePath: string }
  /** A path that something is to be done with is not held. */
  | { readonly code: 'not-held'; readonly storePath: string }
  /** The owner has decided about as many single paths as can be. */
  | { readonly code: 'too-many-choices' }

/** An error about what is said of a store path, with its fault. */
export class PathInfoError extends FaultError<PathInfoFault> {}
