import type { Log } from '../foundation/log.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { TrustPolicy } from '../pathinfo/trust-policy.ts'
import type { Candidate } from './known-offers.ts'
import type { FoundOffer } from './offer-race.ts'
import { factsOf, type OfferFlaw } from './path-source.ts'

/** What it looks at offers with. */
export interface OfferAdmissionComponents {
  readonly trust: TrustPolicy
  readonly log: Log
}

/**
 * The offer of a path as a candidate, where somebody trusted vouches for it; else undefined, and
 * its source is told. What was wrong with it goes to `faults`, unless nobody here knows who signed.
 */
export function admitOffer(
  hash: Uint8Array,
  { offer, source }: FoundOffer,
  { trust, log }: OfferAdmissionComponents,
  faults: unknown[],
): Candidate | undefined {
  const { storePath } = factsOf(offer)
  if (Buffer.compare(storePath.hash, hash) !== 0) {
    offer.turnDown('forged') // an answer for another path than asked
    return undefined
  }
  try {
    return offer.kind === 'nar'
      ? { kind: 'nar', offer, nar: trust.admitNar(offer.facts, offer.keys) }
      : { kind: 'content', offer, claim: trust.admit(offer.claim) }
  } catch (fault) {
    const flaw = flawOf(fault)
    if (flaw === undefined) throw fault
    log.debug('claim turned down', { source: source.name, storePath, flaw })
    offer.turnDown(flaw)
    if (flaw !== 'untrusted') faults.push(fault)
    return undefined
  }
}

/** What a fault says of the offer that it came of; undefined where it says nothing. */
export function flawOf(fault: unknown): OfferFlaw | undefined {
  if (!(fault instanceof PathInfoError)) return undefined
  switch (fault.fault.code) {
    case 'untrusted':
    case 'forged':
    case 'nar-mismatch':
      return fault.fault.code
    case 'bad-path-info':
    case 'bad-signature':
    case 'not-held':
    case 'too-many-choices':
      return undefined
  }
}
