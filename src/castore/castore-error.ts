import { FaultError } from '../foundation/fault.ts'
import type { RecordName } from './record-store.ts'

/** All that can go wrong in the castore. */
export type CastoreFault =
  /** A name, size, digest or message breaks a rule of the model. */
  | { readonly code: 'invalid'; readonly what: string }
  /** Content does not hash to the digest that it was asked or given by. */
  | { readonly code: 'digest-mismatch'; readonly digest: string }
  /** Something that the store refers to is not there. */
  | { readonly code: 'incomplete'; readonly digest: string }
  /** A stored record does not read back as it was written. */
  | {
      readonly code: 'record-corrupt'
      readonly where: string
      /** Which one, where that is known. */
      readonly record?: RecordName
    }
  /** The state directory can not be used: in use by another process, or of another version. */
  | { readonly code: 'store-unusable'; readonly path: string }

/** An error of the castore, with its fault. */
export class CastoreError extends FaultError<CastoreFault> {}

/** Whether a stored record did not read back as it was written. */
export function isRotten(error: unknown): error is CastoreError {
  return error instanceof CastoreError && error.fault.code === 'record-corrupt'
}

/** An error for a value that breaks a rule of the model; the words say what would be right. */
export function invalid(what: string): CastoreError {
  return new CastoreError({ code: 'invalid', what }, what)
}
