import { FaultError } from '../foundation/fault.ts'

/** All that can go wrong with a peer. `peer` is its id. */
export type PeerFault =
  /** A chunk, Directory or blob that does not hash to its digest. */
  | { readonly code: 'content-corrupt'; readonly peer: string; readonly digest: string }
  /** A claim that is wrong about its content. */
  | { readonly code: 'claim-false'; readonly peer: string }
  /** What it told of a pull is not what the path has. */
  | { readonly code: 'pull-false'; readonly peer: string; readonly what: string }
  /** It does not keep to the protocol: garbage, oversized frames, answers that nobody asked for. */
  | { readonly code: 'protocol-broken'; readonly peer: string; readonly what: string }
  /** Nothing has come for too long. */
  | { readonly code: 'stalled'; readonly peer: string }
  /** It said no. */
  | { readonly code: 'refused'; readonly peer: string; readonly reason: string }
  /** It can not be reached, or has gone. */
  | { readonly code: 'unreachable'; readonly peer: string }
  /** It lacks what it was asked for. */
  | { readonly code: 'absent'; readonly peer: string; readonly digest: string }
  /** Nobody who is left has what is missing. */
  | { readonly code: 'no-holder'; readonly digest: string }

/** An error about a peer, with its fault. */
export class PeerError extends FaultError<PeerFault> {}

/** Makes the error for a fault, with the words that go with it. */
export function peerError(fault: PeerFault, cause?: unknown): PeerError {
  return new PeerError(fault, wordsFor(fault), cause === undefined ? undefined : { cause })
}

function wordsFor(fault: PeerFault): string {
  switch (fault.code) {
    case 'content-corrupt':
      return `peer ${fault.peer} sent content that is not ${fault.digest}`
    case 'claim-false':
      return `peer ${fault.peer} made a false claim`
    case 'pull-false':
      return `peer ${fault.peer} told of a pull that can not be true: ${fault.what}`
    case 'protocol-broken':
      return `peer ${fault.peer} broke the protocol: ${fault.what}`
    case 'stalled':
      return `peer ${fault.peer} went silent`
    case 'refused':
      return `peer ${fault.peer} refused: ${fault.reason}`
    case 'unreachable':
      return `peer ${fault.peer} can not be reached`
    case 'absent':
      return `peer ${fault.peer} lacks ${fault.digest}`
    case 'no-holder':
      return `no peer that is left has ${fault.digest}`
  }
}
