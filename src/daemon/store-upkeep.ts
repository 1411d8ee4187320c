import type { Adoption } from '../adoption/adoption.ts'
import { AdoptionError } from '../adoption/adoption-error.ts'
import type { Call } from '../foundation/call.ts'
import type { StorePath } from '../nix/store-path.ts'
import type { Janitor } from '../retention/janitor.ts'
import type { Pins } from '../retention/pins.ts'
import { RetentionError } from '../retention/retention-error.ts'
import { Verification, type VerificationComponents } from '../retention/verification.ts'
import { type RpcFault, rpcError } from '../rpc/rpc-error.ts'
import type {
  AdoptReport,
  AdoptSelection,
  CleanUpInit,
  CleanUpReport,
  PinnedPath,
  Upkeep,
  VerifyReport,
} from '../rpc/upkeep.ts'

/** Keeps the store in order for its owner, by the parts that know how. */
export class StoreUpkeep implements Upkeep {
  readonly #pins: Pins
  readonly #janitor: Janitor
  readonly #verification: VerificationComponents
  readonly #adoption: Adoption

  constructor(
    components: { pins: Pins; janitor: Janitor; adoption: Adoption } & VerificationComponents,
  ) {
    this.#adoption = components.adoption
    this.#pins = components.pins
    this.#janitor = components.janitor
    this.#verification = components
  }

  async pin(paths: readonly StorePath[], call: Call): Promise<void> {
    await translated(this.#pins.pin(paths, call))
  }

  async unpin(paths: readonly StorePath[], call: Call): Promise<void> {
    await translated(this.#pins.unpin(paths, call))
  }

  pins(call: Call): AsyncIterable<PinnedPath> {
    return this.#pins.list(call)
  }

  async cleanUp({ isDryRun, isNow, maxBytes }: CleanUpInit, call: Call): Promise<CleanUpReport> {
    const init = { isDryRun, maxBytes, youngMs: isNow ? 0 : undefined }
    const { compaction, ...collected } = await translated(this.#janitor.cleanUp(init, call))
    const { paths, pathsKept, records, bytes, diskBytes } = collected
    const { segments = 0, freedBytes = 0 } = compaction ?? {}
    return { paths, pathsKept, records, bytes, segments, freedBytes, diskBytes }
  }

  async *adopt(
    selection: AdoptSelection,
    init: { readonly sign: boolean },
    call: Call,
  ): AsyncGenerator<AdoptReport> {
    try {
      yield* this.#adoption.adopt(selection, init, call)
    } catch (error) {
      if (!(error instanceof AdoptionError)) throw error
      throw rpcError('not-found', error.message, error)
    }
  }

  verify(init: { readonly isRepair: boolean }, call: Call): AsyncIterable<VerifyReport> {
    return new Verification(this.#verification, init).run(call)
  }
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof RetentionError)) throw error
    throw rpcError(codeOf(error), error.message, error)
  }
}

function codeOf({ fault }: RetentionError): RpcFault['code'] {
  switch (fault.code) {
    case 'not-held':
    case 'not-pinned':
      return 'not-found'
    case 'busy':
      return 'stopping'
  }
}
