import { type ServiceError, status } from '@grpc/grpc-js'
import { FaultError } from '../foundation/fault.ts'

/** What goes wrong at the gRPC face itself, as a code of gRPC's. */
export class RpcError extends FaultError<{ readonly code: 'not-found' }> {}

/** The error for what is not held here. */
export function notFound(what: string): RpcError {
  return new RpcError({ code: 'not-found' }, what)
}

/** An error as gRPC tells it: a fault of what was sent is the client's, all else our own. */
export function toServiceError(error: unknown): Partial<ServiceError> & Error {
  const message = error instanceof Error ? error.message : String(error)
  return Object.assign(new Error(message), { code: codeOf(error), details: message })
}

/** Codes of faults that say that what was sent breaks a rule. */
const BAD_INPUT = /^(bad-|invalid|truncated|unsorted|duplicate|too-|trailing-|digest-mismatch)/

function codeOf(error: unknown): status {
  if (!(error instanceof FaultError)) return status.INTERNAL
  const { code } = error.fault as { readonly code: string }
  if (code === 'not-found') return status.NOT_FOUND
  return BAD_INPUT.test(code) ? status.INVALID_ARGUMENT : status.INTERNAL
}
