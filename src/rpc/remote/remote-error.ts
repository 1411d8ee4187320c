import { type ServiceError, status } from '@grpc/grpc-js'
import { FaultError } from '../../foundation/fault.ts'

/** What can go wrong with a remote store. None of it says that something is absent. */
export type RemoteFault = {
  readonly code: /** Nobody answers there, or not now. */
    | 'unavailable'
    /** It gave no sign of life for too long. */
    | 'timeout'
    /** It does not let this client do that. */
    | 'refused'
    /** It says that what was sent breaks a rule, or comes too early. */
    | 'rejected'
    /** It has no room left, or takes no more at once. */
    | 'exhausted'
    /** It does not know the call. */
    | 'unimplemented'
    /** Something went wrong over there. */
    | 'failed'
    /** What it answered makes no sense. */
    | 'bad-answer'
    /** A chunk is longer than is taken in one piece. */
    | 'too-large'
  readonly address: string
}

/** An error of a remote store, with its fault. */
export class RemoteError extends FaultError<RemoteFault> {}

/** The error for what gRPC reports of a call; NOT_FOUND is no error, and not asked for here. */
export function remoteError(error: ServiceError, address: string): RemoteError {
  const why = error.details || error.message
  return new RemoteError({ code: codeOf(error.code), address }, `${address}: ${why}`, {
    cause: error,
  })
}

/** The error for an answer that makes no sense. */
export function badAnswer(address: string, what: string, cause?: unknown): RemoteError {
  const options = cause === undefined ? {} : { cause }
  return new RemoteError({ code: 'bad-answer', address }, `${address} ${what}`, options)
}

function codeOf(code: status): RemoteFault['code'] {
  switch (code) {
    case status.UNAVAILABLE:
      return 'unavailable'
    case status.DEADLINE_EXCEEDED:
      return 'timeout'
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return 'refused'
    case status.INVALID_ARGUMENT:
    case status.FAILED_PRECONDITION:
    case status.ALREADY_EXISTS:
    case status.OUT_OF_RANGE:
      return 'rejected'
    case status.RESOURCE_EXHAUSTED:
      return 'exhausted'
    case status.UNIMPLEMENTED:
      return 'unimplemented'
    default:
      return 'failed'
  }
}
