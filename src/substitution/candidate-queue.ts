import { type Call, narrowedCall, OVER } from '../foundation/call.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import type { Candidate } from './known-offers.ts'
import { isDoubtful } from './path-source.ts'

/** A candidate whose turn it is. */
export interface NextCandidate {
  readonly candidate: Candidate
  /** Whether it is waited for whatever it takes: its turn comes after all others. */
  readonly isLast: boolean
}

/**
 * The candidates for one path in the order of their turns. Whoever is at work with one may look for
 * the next one meanwhile, and have it come last that it is at work with.
 */
export class CandidateQueue implements AsyncDisposable {
  readonly #offered: AsyncGenerator<Candidate>
  readonly #over = new AbortController()
  readonly #late: Candidate[] = []
  #ahead: Promise<Candidate | undefined> | undefined

  /** `offer` begins to look for candidates, once the first is asked for. */
  constructor(offer: (call: Call) => AsyncGenerator<Candidate>, call: Call) {
    this.#offered = offer(narrowedCall(call, this.#over.signal))
  }

  /** The next one; undefined where there is no other. @throws as the search for it */
  async next(): Promise<NextCandidate | undefined> {
    const candidate = await this.#lookAhead()
    this.#ahead = undefined
    if (candidate !== undefined) return { candidate, isLast: isLate(candidate) }
    const late = this.#late.shift()
    return late && { candidate: late, isLast: true }
  }

  /**
   * Whether there is another one before those that come last: looks for it, which may take as long
   * as all sources take to answer. @throws the call's reason
   */
  async hasAnother(call: Call): Promise<boolean> {
    const ahead = await unlessAborted(this.#lookAhead(), call.signal)
    return ahead !== undefined && !isLate(ahead)
  }

  /** Has a candidate come again after all others. */
  putLast(candidate: Candidate): void {
    this.#late.push(candidate)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(OVER)
    await this.#ahead?.catch(() => undefined) // nobody waits for it any more
    await this.#offered.return(undefined)
  }

  #lookAhead(): Promise<Candidate | undefined> {
    if (this.#ahead === undefined) {
      this.#ahead = this.#offered.next().then(({ value }) => value as Candidate | undefined)
      this.#ahead.catch(() => undefined) // thrown to whoever takes it
    }
    return this.#ahead
  }
}

function isLate({ offer }: Candidate): boolean {
  return isDoubtful(offer)
}
