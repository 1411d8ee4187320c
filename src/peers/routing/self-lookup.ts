import { type Call, OVER } from '../../foundation/call.ts'
import { type Clock, withDeadline } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'

/**
 * How long after its first connection a node looks for its place in the DHT, in milliseconds: at
 * once, and again for those who came at the same moment and had not been heard of yet.
 */
export const SELF_LOOKUPS_MS = [1_000, 10_000, 60_000]

/** How long such a search takes at the most, in milliseconds. */
export const SELF_LOOKUP_MS_MAX = 10_000

/** What it works with. */
export interface SelfLookupComponents {
  readonly clock: Clock
  readonly log: Log
  /** Searches the DHT for this node's own id; whoever is asked on the way gets to know it. */
  readonly lookUp: (call: Call) => Promise<void>
}

/**
 * Has the nodes of a DHT get to know each other. By itself the DHT looks once, a second after the
 * node has been started, and then for an hour no more: nodes that are started before the one that
 * they all know would not meet.
 */
export class SelfLookup {
  readonly #components: SelfLookupComponents
  #current: { readonly stop: AbortController; readonly over: Promise<void> } | undefined

  constructor(components: SelfLookupComponents) {
    this.#components = components
  }

  /** Somebody has connected, and nobody was before. */
  begin(): void {
    this.#current?.stop.abort(OVER)
    const stop = new AbortController()
    this.#current = { stop, over: this.#run(stop) }
  }

  async stop(): Promise<void> {
    this.#current?.stop.abort(OVER)
    await this.#current?.over
  }

  /** Throws nothing. */
  async #run(call: Call): Promise<void> {
    const { clock, log, lookUp } = this.#components
    let passedMs = 0
    for (const atMs of SELF_LOOKUPS_MS) {
      try {
        await clock.sleep(atMs - passedMs, call)
        passedMs = atMs
        await withDeadline(clock, SELF_LOOKUP_MS_MAX, 'looking for its place', call, lookUp)
      } catch (error) {
        if (call.signal.aborted) return
        log.debug('the DHT could not be searched for this node itself', { error })
      }
    }
  }
}
