import { FaultError } from '../foundation/fault.ts'

/** All that can go wrong in adopting paths of the machine's own store. */
export type AdoptionFault =
  /** Nix's database is not there, or can not be read. */
  | { readonly code: 'no-database'; readonly path: string }
  /** Nix does not know the path. */
  | { readonly code: 'not-valid'; readonly storePath: string }
  /** What lies there is not what Nix's database says. */
  | { readonly code: 'changed'; readonly storePath: string }

/** An error of adoption, with its fault. */
export class AdoptionError extends FaultError<AdoptionFault> {}
