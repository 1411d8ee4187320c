import { type Call, narrowedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import { waitUpTo } from '../foundation/wait-up-to.ts'
import type { Offer } from './path-source.ts'
import { type Turn, turnsOf } from './source-order.ts'
import type { SourceWatch } from './source-watch.ts'

/** An offer, and who made it. */
export interface FoundOffer {
  readonly offer: Offer
  readonly source: SourceWatch
}

/**
 * Asks several sources for one path: each has a head start before the next one, which is asked at
 * once where it has nothing. Offers come in the order that they arrive. A source that takes longer
 * than its history explains is not waited for.
 */
export class OfferRace {
  readonly #sources: readonly SourceWatch[]
  readonly #clock: Clock
  readonly #hash: Uint8Array
  readonly #turns: readonly Turn[]
  readonly #offers: (FoundOffer & { readonly taken: PromiseWithResolvers<void> })[] = []
  readonly #over = new AbortController()
  #next = 0
  #running = 0
  #hasFound = false
  #isWhole: boolean
  #changed = Promise.withResolvers<void>()

  constructor(components: { sources: readonly SourceWatch[]; clock: Clock }, hash: Uint8Array) {
    this.#sources = components.sources
    this.#clock = components.clock
    this.#hash = hash
    this.#turns = turnsOf(components.sources.map(({ view }) => view))
    this.#isWhole = this.#turns.length === components.sources.length
  }

  /** Whether all sources have answered so far that were asked, and none was left out. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** All offers; those who were not asked yet are asked once the offers before were not enough. */
  async *run(call: Call): AsyncGenerator<FoundOffer> {
    const lone = this.#lone
    if (lone !== undefined) return yield* this.#askAlone(lone, call)
    const inner = narrowedCall(call, this.#over.signal)
    try {
      for (;;) {
        const found = this.#offers.shift()
        if (found !== undefined) {
          yield found
          found.taken.resolve()
          continue
        }
        if (this.#running === 0 && !this.#askNext(inner)) return
        await unlessAborted(this.#changed.promise, call.signal)
      }
    } finally {
      this.#over.abort(new Error('enough was offered'))
    }
  }

  /** The only one there is to ask, where it keeps to a limit of its own: nothing is to be timed. */
  get #lone(): SourceWatch | undefined {
    const [only, second] = this.#turns
    if (only === undefined || second !== undefined) return undefined
    const source = this.#sources.find(({ name }) => name === only.name)!
    return source.source.limitMs === undefined ? undefined : source
  }

  async *#askAlone(source: SourceWatch, call: Call): AsyncGenerator<FoundOffer> {
    try {
      for await (const offer of source.find(this.#hash, call)) yield { offer, source }
    } catch {
      call.signal.throwIfAborted()
      this.#isWhole = false // the watch has noted why
    }
  }

  #askNext(call: Call): boolean {
    const turn = this.#turns[this.#next++]
    if (turn === undefined) return false
    const source = this.#sources.find(({ name }) => name === turn.name)!
    this.#running++
    void this.#ask(source, turn, call).finally(() => {
      this.#running--
      if (!this.#hasFound) this.#askNext(call)
      this.#tell()
    })
    return true
  }

  /** Never throws. */
  async #ask(source: SourceWatch, turn: Turn, call: Call): Promise<void> {
    const asking = new AbortController()
    const timed = narrowedCall(call, asking.signal)
    let hasAnswered = false
    const answers = (async () => {
      for await (const offer of source.find(this.#hash, timed)) {
        hasAnswered = true
        this.#hasFound = true
        const taken = Promise.withResolvers<void>()
        this.#offers.push({ offer, source, taken })
        this.#tell()
        // A source looks further only where what it has offered was not enough.
        await unlessAborted(taken.promise, timed.signal)
      }
      hasAnswered = true
    })().catch(() => {
      if (!call.signal.aborted) this.#isWhole = false // the watch has noted why
    })
    try {
      const headStart = await waitUpTo(this.#clock, turn.headStartMs, answers, call)
      if (headStart) return
      if (!this.#hasFound) this.#askNext(call)
      const patienceMs = turn.patienceMs - turn.headStartMs
      if (await waitUpTo(this.#clock, patienceMs, answers, call)) return
      if (hasAnswered) return await answers // it has offered, and goes on looking for others
      source.failed(new Error(`no answer in ${turn.patienceMs} ms`))
      this.#isWhole = false
      asking.abort(new Error('it took too long'))
    } catch {
      // Enough was offered, or whoever asked has left.
    }
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
