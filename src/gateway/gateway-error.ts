import { FaultError } from '../foundation/fault.ts'

/** Why a request can not be served, and with it the status that Nix understands. */
export type GatewayFault =
  /** What was sent is wrong; trying again will not help. */
  | { readonly code: 'bad-request' }
  /** Only the owner may do this, and nothing showed that it is them. */
  | { readonly code: 'unauthorized' }
  /** The client may not do this. */
  | { readonly code: 'forbidden' }
  /** It is not here: quick and harmless for Nix. */
  | { readonly code: 'absent' }
  /** A client stopped in the middle of what it sends. */
  | { readonly code: 'timed-out' }
  /** Something else is held under that name. */
  | { readonly code: 'conflict' }
  /** More than is taken. */
  | { readonly code: 'too-large' }
  /** The asked range lies behind the end. */
  | { readonly code: 'range-unsatisfiable'; readonly size: number }
  /** Too much is being asked for at once. */
  | { readonly code: 'busy' }

/** An error that a client is told, with its fault. */
export class GatewayError extends FaultError<GatewayFault> {}

/** The HTTP status of a fault. */
export function statusOf(fault: GatewayFault): number {
  switch (fault.code) {
    case 'bad-request':
      return 400
    case 'unauthorized':
      return 401
    case 'forbidden':
      return 403
    case 'absent':
      return 404
    case 'timed-out':
      return 408
    case 'conflict':
      return 409
    case 'too-large':
      return 413
    case 'range-unsatisfiable':
      return 416
    case 'busy':
      return 503
  }
}

/** The error for what was sent wrongly. */
export function badRequest(what: string, cause?: unknown): GatewayError {
  return new GatewayError({ code: 'bad-request' }, what, cause === undefined ? {} : { cause })
}

/** The error for what is not here. */
export function absent(what: string): GatewayError {
  return new GatewayError({ code: 'absent' }, what)
}

/** The error for more than is taken. */
export function tooLarge(what: string): GatewayError {
  return new GatewayError({ code: 'too-large' }, what)
}
