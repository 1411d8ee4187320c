import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { SourceWatch } from './source-watch.ts'

/** How long it is waited before a source is asked again that goes on looking, in milliseconds. */
const LOOK_MS = 20

/** For how long sources are asked again that go on looking, in ms, where nothing else is said. */
export const LOOKING_MS_MAX = 4_000

/** Whether a source goes on looking for a path, or has found it since it was asked. */
export function isSearched(sources: readonly SourceWatch[], hash: Uint8Array): boolean {
  return sources.some(({ source }) => source.isSearching?.(hash) === true)
}

/** Decides whether those who looked for a path in vain are asked once more. */
export class AnotherLook {
  readonly #components: { readonly sources: readonly SourceWatch[]; readonly clock: Clock }
  readonly #hash: Uint8Array
  readonly #untilMs: number

  constructor(
    components: { readonly sources: readonly SourceWatch[]; readonly clock: Clock },
    hash: Uint8Array,
    init: { readonly msMax?: number } = {},
  ) {
    this.#components = components
    this.#hash = hash
    this.#untilMs = components.clock.now() + (init.msMax ?? LOOKING_MS_MAX)
  }

  /** Whether a source goes on looking, and not for too long; resolves after a moment then. */
  async isDue(call: Call): Promise<boolean> {
    const { sources, clock } = this.#components
    if (!isSearched(sources, this.#hash) || clock.now() >= this.#untilMs) return false
    await clock.sleep(LOOK_MS, call)
    return true
  }
}
