import type { PeerFault } from '../peer-error.ts'

/** What a fault says of the peer behind it. */
export type Misdeed = 'lied' | 'stalled' | 'failed'

/** What follows for the peer. */
export interface Consequence {
  /** It is never asked again, nor let in, until the owner pardons it. */
  readonly bans: boolean
  /** For how long it is left alone at first, in milliseconds; doubles with each further time. */
  readonly idleMs: number
  /** Whether the channel on which it happened is given up, with all that was asked for on it. */
  readonly dropsChannel: boolean
}

/** The one table from fault to misdeed; undefined where a fault says nothing of the peer. */
export function misdeedOf(fault: PeerFault): Misdeed | undefined {
  switch (fault.code) {
    case 'content-corrupt':
    case 'claim-false':
    case 'pull-false':
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

/** The one table from misdeed to consequence. */
export const CONSEQUENCES: Readonly<Record<Misdeed, Consequence>> = {
  lied: { bans: true, idleMs: 0, dropsChannel: true },
  stalled: { bans: false, idleMs: 15_000, dropsChannel: true },
  failed: { bans: false, idleMs: 2_000, dropsChannel: false },
}
