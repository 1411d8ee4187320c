import type { Call } from './call.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'

/** How far ahead work is done. */
export interface WorkAheadInit {
  /** What may have been done, or be under way, that nobody has asked for yet. */
  readonly weightMax: number
  /** How many pieces of work go on at once. */
  readonly atOnce: number
  /** How many pieces of work wait their turn; what there is no room for is not done ahead. */
  readonly waitingMax: number
  /** Whether what was added last is done first, as for who goes through a tree. */
  readonly isLastFirst?: boolean
  /** After so many milliseconds without a question nobody is expected to ask for the rest. */
  readonly quietMs: number
}

/** Something that somebody will ask for soon. */
export interface Work {
  readonly key: string
  readonly weight: number
  readonly run: (call: Call) => Promise<unknown>
}

/**
 * Does work before somebody asks for what it brings, and only so far ahead of whoever asks: who
 * stops asking has wasted no more than that.
 */
export class WorkAhead {
  readonly #components: { readonly clock: Clock; readonly log: Log }
  readonly #init: WorkAheadInit
  /** In the order in which it was added; what is asked for meanwhile stays, but not in the set. */
  #waiting: Work[] = []
  readonly #awaited = new Set<string>()
  /** The weights of what was begun, and not asked for yet. */
  readonly #ahead = new Map<string, number>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #weight = 0
  #askedAtMs = 0

  constructor(components: { readonly clock: Clock; readonly log: Log }, init: WorkAheadInit) {
    this.#components = components
    this.#init = init
  }

  /** Has something done, unless that was added before, or is too much. */
  add(work: Work): void {
    const { weightMax, waitingMax } = this.#init
    if (this.#stopping.signal.aborted || work.weight > weightMax) return
    if (this.#ahead.has(work.key) || this.#awaited.has(work.key)) return
    if (this.#waiting.length >= waitingMax) return
    this.#waiting.push(work)
    this.#awaited.add(work.key)
    this.#goOn()
  }

  /** Somebody asks for something: that is ahead no more, and something else may be. */
  asked(key: string): void {
    const nowMs = this.#components.clock.now()
    if (nowMs - this.#askedAtMs >= this.#init.quietMs) this.#forget()
    this.#askedAtMs = nowMs
    this.#awaited.delete(key)
    this.#weight -= this.#ahead.get(key) ?? 0
    this.#ahead.delete(key)
    this.#goOn()
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    this.#forget()
    await Promise.all(this.#running)
  }

  #goOn(): void {
    const { weightMax, atOnce, isLastFirst } = this.#init
    while (this.#running.size < atOnce) {
      const work = this.#waiting.at(isLastFirst === true ? -1 : 0)
      if (work === undefined) return
      const isAwaited = this.#awaited.has(work.key)
      if (isAwaited && this.#weight + work.weight > weightMax) return
      if (isLastFirst === true) this.#waiting.pop()
      else this.#waiting.shift()
      if (isAwaited) this.#begin(work)
    }
  }

  #begin({ key, weight, run }: Work): void {
    this.#awaited.delete(key)
    this.#ahead.set(key, weight)
    this.#weight += weight
    const running = this.#run(run).finally(() => {
      this.#running.delete(running)
      this.#goOn()
    })
    this.#running.add(running)
  }

  /** Throws nothing: whoever asks for it is told what is wrong. */
  async #run(run: Work['run']): Promise<void> {
    try {
      await run({ signal: this.#stopping.signal })
    } catch (error) {
      this.#components.log.debug('what was done ahead has failed', { error })
    }
  }

  #forget(): void {
    this.#waiting = []
    this.#awaited.clear()
    this.#ahead.clear()
    this.#weight = 0
  }
}
