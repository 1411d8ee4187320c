import { FaultError } from '../../foundation/fault.ts'

/** How a frame, or a series of them, breaks the exchange protocol; whoever sent it broke it. */
export interface FrameFault {
  readonly code: /** It claims to be longer than any frame may be. */
    | 'too-long'
    /** It is no message of the protocol, or one that says what none may. */
    | 'malformed'
    /** More requests than may be open, or one id for two of them. */
    | 'out-of-turn'
}

/** A frame that breaks the protocol. */
export class FrameError extends FaultError<FrameFault> {}

/** The error for a frame that is no message of the protocol. */
export function malformedFrame(what: string, cause?: unknown): FrameError {
  return new FrameError({ code: 'malformed' }, what, cause === undefined ? undefined : { cause })
}
