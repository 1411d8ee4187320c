import { type ServiceError, status } from '@grpc/grpc-js'
import { CastoreError, type CastoreFault } from '../castore/castore-error.ts'
import { DeadlineError } from '../foundation/clock.ts'
import { FaultError } from '../foundation/fault.ts'
import { NarError, type NarFault } from '../nar/nar-error.ts'
import { NixError } from '../nix/nix-error.ts'
import { PathInfoError, type PathInfoFault } from '../pathinfo/path-info-error.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import { ERROR_LENGTH_MAX } from './rpc-limits.ts'

/** What goes wrong at the gRPC face itself. */
export type RpcFault = {
  readonly code: /** What is asked for is not held. */
    | 'not-found'
    /** The request breaks a rule; the words say which. */
    | 'bad-request'
    /** Only this machine's owner may do that. */
    | 'not-owner'
    /** What is put refers to something that is not held, or to something else than is held. */
    | 'not-held'
    /** More than one call may bring or ask for. */
    | 'too-much'
    /** The node is about to stop. */
    | 'stopping'
    /** The client has taken the call back. */
    | 'cancelled'
  readonly what: string
}

/** An error of the gRPC face, with its fault. */
export class RpcError extends FaultError<RpcFault> {}

/** The error of that kind; the words are for people. */
export function rpcError(code: RpcFault['code'], what: string, cause?: unknown): RpcError {
  return new RpcError({ code, what }, what, cause === undefined ? undefined : { cause })
}

/** An error as gRPC tells it. */
export function toServiceError(error: unknown): Partial<ServiceError> & Error {
  const code = statusOf(error)
  const words = code === status.RESOURCE_EXHAUSTED ? exhausted(error) : messageOf(error)
  const details = words.slice(0, ERROR_LENGTH_MAX).toWellFormed()
  return Object.assign(new Error(details), { code, details })
}

/** Which status of gRPC's an error has. What is not known here is our own fault. */
export function statusOf(error: unknown): status {
  if (error instanceof RpcError) return rpcStatus(error.fault)
  if (error instanceof CastoreError) return castoreStatus(error.fault)
  if (error instanceof NarError) return narStatus(error.fault)
  if (error instanceof PathInfoError) return pathInfoStatus(error.fault)
  if (error instanceof NixError) return status.INVALID_ARGUMENT // a text that breaks its format
  if (error instanceof SubstitutionError) return substitutionStatus(error)
  if (error instanceof DeadlineError) return status.DEADLINE_EXCEEDED
  return diskError(error) === undefined ? status.INTERNAL : status.RESOURCE_EXHAUSTED
}

function rpcStatus(fault: RpcFault): status {
  switch (fault.code) {
    case 'not-found':
      return status.NOT_FOUND
    case 'bad-request':
      return status.INVALID_ARGUMENT
    case 'not-owner':
      return status.PERMISSION_DENIED
    case 'not-held':
      return status.FAILED_PRECONDITION
    case 'too-much':
      return status.RESOURCE_EXHAUSTED
    case 'stopping':
      return status.UNAVAILABLE
    case 'cancelled':
      return status.CANCELLED
  }
}

function castoreStatus(fault: CastoreFault): status {
  switch (fault.code) {
    case 'invalid':
      return status.INVALID_ARGUMENT
    case 'incomplete':
      return status.FAILED_PRECONDITION
    case 'digest-mismatch': // only of what is held: nothing is put under a digest that was given
    case 'record-corrupt':
      return status.DATA_LOSS
    case 'store-unusable':
      return status.UNAVAILABLE
  }
}

function narStatus(fault: NarFault): status {
  switch (fault.code) {
    case 'truncated':
    case 'bad-magic':
    case 'bad-token':
    case 'bad-padding':
    case 'bad-name':
    case 'unsorted':
    case 'duplicate':
    case 'too-deep':
    case 'bad-target':
    case 'trailing-bytes':
    case 'too-large':
    case 'compression-corrupt':
    case 'compression-truncated':
    case 'compression-memory':
    case 'blob-size': // of the node that was given, or of one below it
      return status.INVALID_ARGUMENT
    case 'directory-missing':
    case 'blob-missing':
      return status.FAILED_PRECONDITION
    case 'path-unreadable':
    case 'path-unsupported':
    case 'path-changed':
      return status.INTERNAL // no call reads paths
  }
}

function pathInfoStatus(fault: PathInfoFault): status {
  switch (fault.code) {
    case 'bad-path-info':
    case 'nar-mismatch':
    case 'bad-signature':
      return status.INVALID_ARGUMENT
    case 'untrusted':
    case 'forged':
      return status.PERMISSION_DENIED
    case 'not-held':
      return status.NOT_FOUND
    case 'too-many-choices':
      return status.RESOURCE_EXHAUSTED
  }
}

function substitutionStatus({ fault }: SubstitutionError): status {
  switch (fault.code) {
    case 'path-absent':
    case 'name-absent':
      return status.NOT_FOUND
    case 'offers-failed':
      return status.UNAVAILABLE
    case 'content-missing':
    case 'no-directory':
    case 'no-file':
    case 'leads-outside':
    case 'link-loop':
      return status.FAILED_PRECONDITION
    case 'too-large':
      return status.RESOURCE_EXHAUSTED
  }
}

const DISK_ERRORS = new Map([
  ['ENOSPC', 'no space is left on the disk of the node'],
  ['EDQUOT', 'the disk quota of the node is used up'],
  ['EMFILE', 'the node has too many files open'],
  ['ENFILE', 'the machine has too many files open'],
])

/** What of the machine is used up, where an error or its cause says so. */
function diskError(error: unknown): string | undefined {
  let at = error
  for (let depth = 0; depth < 8 && at instanceof Error; depth++) {
    const words = DISK_ERRORS.get(String((at as NodeJS.ErrnoException).code))
    if (words !== undefined) return words
    at = at.cause
  }
  return undefined
}

function exhausted(error: unknown): string {
  const words = diskError(error)
  return words === undefined ? messageOf(error) : `${words}: ${messageOf(error)}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
