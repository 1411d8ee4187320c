import { FaultError } from '../foundation/fault.ts'

/** Why a request can not be served, and with it the status that Nix understands. */
export type GatewayFault =
  /** What was sent is wrong; trying again will not help. */
  | { readonly code: 'bad-request' }
  /** The client may not do this. */
  | { readonly code: 'forbidden' }
  /** It is not here: quick and harmless for Nix. */
  | { readonly code: 'absent' }
  /** The asked range lies behind the end. */
  | { readonly code: 'range-unsatisfiable'; readonly size: number }

/** An error that a client is told, with its fault. */
export class GatewayError extends FaultError<GatewayFault> {}

/** The HTTP status of a fault. */
export function statusOf(fault: GatewayFault): number {
  switch (fault.code) {
    case 'bad-request':
      return 400
    case 'forbidden':
      return 403
    case 'absent':
      return 404
    case 'range-unsatisfiable':
      return 416
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
