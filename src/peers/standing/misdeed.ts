import type { PeerFault } from '../peer-error.ts'

/**
 * What a fault says of the peer behind it: it lied (never asked again), it stalled or failed (left
 * alone for a while), or nothing at all.
 */
export type Misdeed = 'lied' | 'stalled' | 'failed'

/** The one table from fault to consequence. */
export function misdeedOf(fault: PeerFault): Misdeed | undefined {
  switch (fault.code) {
    case 'content-corrupt':
    case 'claim-false':
    case 'protocol-broken':
      return 'lied'
    case 'stalled':
      return 'stalled'
    case 'refused':
    case 'unreachable':
      return 'failed'
    case 'absent':
    case 'no-holder':
      return undefined
  }
}
