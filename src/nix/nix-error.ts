import { FaultError } from '../foundation/fault.ts'

/** Which format a text breaks; `what` says how, in words for people. */
export interface NixFault {
  readonly code:
    | 'bad-base32'
    | 'bad-base64'
    | 'bad-hash'
    | 'bad-store-path'
    | 'bad-nar-info'
    | 'bad-cache-info'
    | 'bad-signature'
    | 'bad-key'
  readonly what: string
}

/** A text that is not in the format of Nix that it claims to be in. */
export class NixError extends FaultError<NixFault> {}

/** Characters of a faulty text that a message shows. */
const SHOWN_LENGTH_MAX = 120

/** An error for a faulty text; `what` says what would be right, and why it is not. */
export function malformed(code: NixFault['code'], what: string, cause?: unknown): NixError {
  return new NixError({ code, what }, what, cause === undefined ? undefined : { cause })
}

/** A faulty text for a message: in quotes, escaped and shortened. */
export function shown(text: string): string {
  const whole = text.length <= SHOWN_LENGTH_MAX
  return JSON.stringify(whole ? text : `${text.slice(0, SHOWN_LENGTH_MAX)}…`)
}
