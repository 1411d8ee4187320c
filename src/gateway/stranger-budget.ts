import type { Clock } from '../foundation/clock.ts'
import { type GatewayError, tooLarge } from './gateway-error.ts'
import type { GatewayLimits } from './gateway-limits.ts'

/** The least that an upload counts for, in bytes: very many small ones are too much, too. */
export const CHARGE_BYTES_MIN = 64 * 1024

interface Entry {
  bytes: number
  readonly until: number
}

/** What one upload of a stranger's has taken of the budget so far. */
export interface Charge {
  /** Counts more bytes. @throws GatewayError 'too-large' where the budget is spent */
  take(bytes: number): void
  /** The upload was taken in, as the NAR of that hash; it counts until it is claimed. */
  settle(narSha256: Uint8Array): void
  /** What was uploaded is held anyway, or claimed already: it counts no more. */
  cancel(): void
}

/**
 * Bounds what strangers can make this node keep: NARs that no signed narinfo has claimed yet, and
 * what is left of uploads that failed. Whatever is claimed is credited back; the rest counts for
 * {@link GatewayLimits.unclaimedMs}.
 */
export class StrangerBudget {
  readonly #clock: Clock
  readonly #limits: Pick<GatewayLimits, 'unclaimedBytesMax' | 'unclaimedMs'>
  /** In the order in which they began. */
  readonly #entries = new Set<Entry>()
  readonly #byNar = new Map<string, Entry>()
  #bytes = 0

  constructor(
    components: { readonly clock: Clock },
    init: Pick<GatewayLimits, 'unclaimedBytesMax' | 'unclaimedMs'>,
  ) {
    this.#clock = components.clock
    this.#limits = init
  }

  /** How many bytes count at present. */
  get usedBytes(): number {
    this.#forget()
    return this.#bytes
  }

  /** Begins to count an upload. @throws GatewayError 'too-large' where the budget is spent */
  open(): Charge {
    this.#forget()
    const entry: Entry = { bytes: 0, until: this.#clock.now() + this.#limits.unclaimedMs }
    let taken = 0
    const take = (bytes: number): void => {
      taken += bytes
      const more = Math.max(taken, CHARGE_BYTES_MIN) - entry.bytes
      if (this.#bytes + more > this.#limits.unclaimedBytesMax) throw this.#spent()
      entry.bytes += more
      this.#bytes += more
      this.#entries.add(entry)
    }
    take(0)
    return {
      take,
      settle: (narSha256) => {
        const key = keyOf(narSha256)
        const before = this.#byNar.get(key)
        if (before !== undefined) this.#release(before) // it is stored once
        this.#byNar.set(key, entry)
      },
      cancel: () => this.#release(entry),
    }
  }

  /** A signed narinfo has claimed the NAR: it counts no more. */
  claimed(narSha256: Uint8Array): void {
    const entry = this.#byNar.get(keyOf(narSha256))
    this.#byNar.delete(keyOf(narSha256))
    if (entry !== undefined) this.#release(entry)
  }

  #release(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#bytes -= entry.bytes
  }

  #forget(): void {
    const now = this.#clock.now()
    for (const entry of this.#entries) {
      if (entry.until > now) break
      this.#release(entry)
    }
    for (const [key, entry] of this.#byNar) {
      if (entry.until > now) break
      this.#byNar.delete(key)
    }
  }

  #spent(): GatewayError {
    const what = `clients without a token may have ${this.#limits.unclaimedBytesMax} bytes here`
    return tooLarge(`${what} that no narinfo signed by a trusted key has claimed yet`)
  }
}

function keyOf(narSha256: Uint8Array): string {
  return Buffer.from(narSha256).toString('base64')
}
