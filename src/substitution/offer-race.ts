import { type Call, narrowedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import { waitUpTo } from '../foundation/wait-up-to.ts'
import { isDoubtful, type Offer } from './path-source.ts'
import { type Turn, turnsOf } from './source-order.ts'
import type { SourceWatch } from './source-watch.ts'

/** An offer, and who made it. */
export interface FoundOffer {
  readonly offer: Offer
  readonly source: SourceWatch
}

/** A source that is being asked. */
interface Asking {
  readonly source: SourceWatch
  /** Whether it has no head start any more. */
  isOvertaken: boolean
  /** Whether the source whose turn is next is asked by now, as well. */
  hasPassedOn: boolean
}

interface WaitingOffer extends FoundOffer {
  readonly asking: Asking
  readonly taken: PromiseWithResolvers<void>
}

/**
 * Asks several sources for one path: each has a head start before the next one, which is asked at
 * once where it has nothing, or nothing that is good enough. Offers come in the order that they
 * arrive, but doubtful ones after all that other sources have. A source that takes longer than its
 * history explains is not waited for.
 */
export class OfferRace {
  readonly #sources: readonly SourceWatch[]
  readonly #clock: Clock
  readonly #hash: Uint8Array
  readonly #turns: readonly Turn[]
  readonly #offers: WaitingOffer[] = []
  readonly #over = new AbortController()
  readonly #running = new Set<Asking>()
  #next = 0
  #lastAsked: Asking | undefined
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
        const found = this.#takeOffer()
        if (found !== undefined) {
          yield found
          found.taken.resolve()
          // It was not enough, or something else is looked for already.
          if (this.#offers.length === 0) this.#hasFound = false
          if (this.#lastAsked?.isOvertaken === true) this.#passOn(this.#lastAsked, inner)
          continue
        }
        if (this.#running.size === 0 && !this.#askNext(inner)) return
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

  /** The first that is not doubtful; a doubtful one where no other source may have another. */
  #takeOffer(): WaitingOffer | undefined {
    const isDue = ({ offer, source }: WaitingOffer): boolean =>
      !isDoubtful(offer) || (this.#next >= this.#turns.length && this.#isLast(source))
    const at = this.#offers.findIndex(isDue)
    return at < 0 ? undefined : this.#offers.splice(at, 1)[0]
  }

  /** Whether no other source is being asked. */
  #isLast(source: SourceWatch): boolean {
    for (const other of this.#running) if (other.source !== source) return false
    return true
  }

  /** Asks the next source, where there is one, and the one before it has not done so yet. */
  #passOn(asking: Asking, call: Call): void {
    if (asking.hasPassedOn) return
    asking.hasPassedOn = true
    this.#askNext(call)
  }

  #askNext(call: Call): boolean {
    const turn = this.#turns[this.#next++]
    if (turn === undefined) return false
    const source = this.#sources.find(({ name }) => name === turn.name)!
    const asking: Asking = { source, isOvertaken: false, hasPassedOn: false }
    this.#lastAsked = asking
    this.#running.add(asking)
    void this.#ask(asking, turn, call).finally(() => {
      this.#running.delete(asking)
      if (!this.#hasFound) this.#passOn(asking, call)
      this.#tell()
    })
    return true
  }

  /** Takes an offer; resolves once its source is to look further. */
  async #take(offer: Offer, asking: Asking, timed: Call): Promise<void> {
    const { source } = asking
    const taken = Promise.withResolvers<void>()
    this.#offers.push({ offer, source, asking, taken })
    this.#tell()
    // The source keeps its head start: a better one may follow.
    if (isDoubtful(offer)) return
    this.#hasFound = true
    // A source looks further only where what it has offered was not enough.
    await unlessAborted(taken.promise, timed.signal)
  }

  /** Never throws. */
  async #ask(asking: Asking, turn: Turn, call: Call): Promise<void> {
    const { source } = asking
    const ending = new AbortController()
    const timed = narrowedCall(call, ending.signal)
    let hasAnswered = false
    const answers = (async () => {
      for await (const offer of source.find(this.#hash, timed)) {
        hasAnswered = true
        await this.#take(offer, asking, timed)
      }
      hasAnswered = true
    })().catch(() => {
      if (!call.signal.aborted) this.#isWhole = false // the watch has noted why
    })
    try {
      const headStart = await waitUpTo(this.#clock, turn.headStartMs, answers, call)
      if (headStart) return
      asking.isOvertaken = true
      if (!this.#hasFound) this.#passOn(asking, call)
      const patienceMs = turn.patienceMs - turn.headStartMs
      if (await waitUpTo(this.#clock, patienceMs, answers, call)) return
      if (hasAnswered) return await answers // it has offered, and goes on looking for others
      source.failed(new Error(`no answer in ${turn.patienceMs} ms`))
      this.#isWhole = false
      ending.abort(new Error('it took too long'))
    } catch {
      // Enough was offered, or whoever asked has left.
    }
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
