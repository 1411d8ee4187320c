import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { PathInfo, type PathInfoFields } from '../pathinfo/path-info.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { PathInfoStore } from '../pathinfo/path-info-store.ts'
import type { MeasuredNar, TrustedClaim, TrustPolicy } from '../pathinfo/trust-policy.ts'
import { GatewayError } from './gateway-error.ts'
import { unauthorized } from './writer.ts'

/** Takes in what anybody brings, where a trusted key has signed it. */
export class StrangerIntake {
  readonly #trust: TrustPolicy
  readonly #pathInfos: PathInfoStore

  constructor(components: { readonly trust: TrustPolicy; readonly pathInfos: PathInfoStore }) {
    this.#trust = components.trust
    this.#pathInfos = components.pathInfos
  }

  /**
   * Looks at who vouches for a path, before anything is measured for it.
   * @throws GatewayError 'unauthorized', 'forbidden' for a forged signature, or 'conflict' where
   *   the path is held with another content
   */
  async admit(fields: PathInfoFields, call: Call): Promise<TrustedClaim> {
    const given = new PathInfo(fields)
    // First: whom nobody vouches for is not told what is held.
    const claim = this.#admitted(given)
    const held = await this.#pathInfos.get(given.storePath.hash, call)
    if (held !== undefined && !equalBytes(held.narSha256, given.narSha256)) {
      const what = `${given.storePath} is held here with another NAR`
      throw new GatewayError({ code: 'conflict' }, what)
    }
    if (held === undefined) return claim
    const merged = held.withSignatures(given.signatures, given.rootSignatures)
    return this.#admitted(merged)
  }

  /**
   * Looks whether anybody trusted vouches for what is said of a path, whatever its root.
   * @throws GatewayError 'unauthorized', 'forbidden'
   */
  checkVoucher(fields: PathInfoFields): void {
    this.#admitted(new PathInfo(fields))
  }

  /** Stores what was admitted, once its NAR is measured. @throws PathInfoError 'nar-mismatch' */
  async take(claim: TrustedClaim, measured: MeasuredNar, call: Call): Promise<void> {
    await this.#pathInfos.put([this.#trust.settle(claim, measured)], call)
  }

  #admitted(pathInfo: PathInfo): TrustedClaim {
    try {
      this.#trust.admit({ pathInfo, origin: 'stranger' })
      return this.#trust.admit({
        pathInfo: this.#trust.withoutForged(pathInfo),
        origin: 'stranger',
      })
    } catch (cause) {
      if (!(cause instanceof PathInfoError)) throw cause
      if (cause.fault.code === 'untrusted') throw unauthorized(cause.message, cause)
      throw new GatewayError({ code: 'forbidden' }, cause.message, { cause })
    }
  }
}
