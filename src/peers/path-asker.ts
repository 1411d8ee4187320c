import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { ExchangeClient } from './exchange/exchange-client.ts'
import type { AnswerItem } from './exchange/exchange-session.ts'
import { WANTS_MAX } from './exchange/want.ts'
import { peerError } from './peer-error.ts'

/** About how many bytes the answer about one path has, for the cap on what is in flight. */
const ANSWER_BYTES = 1024

/** How long a neighbour is waited for that has never answered such a question, in ms. */
export const NEIGHBOUR_UNPROVEN_MS = 100

/** The longest wait for a neighbour's word on whether it has a path, in milliseconds. */
export const NEIGHBOUR_MS_MAX = 1_000

/** The shortest wait for one that answers as a rule, in milliseconds. */
const NEIGHBOUR_MS_MIN = 100

/** How many times its usual time a neighbour may take. */
const PATIENCE_RATIO = 8

/** How many requests a peer that keeps silent is sent. */
const SILENT_QUESTIONS_MAX = 8

/** What of an answer's time goes into the usual time. */
const ANSWER_WEIGHT = 0.2

/** For how long it is remembered what a peer usually takes, in milliseconds, and of how many. */
const USUAL_KEPT_MS = 600_000
const USUAL_PEERS_MAX = 4_096

/** Questions to one peer that are not answered yet. */
interface Debt {
  questions: number
  /** Since when it owes an answer and has given none, in ms on the clock. */
  sinceMs: number
}

interface Question {
  readonly hash: Uint8Array
  readonly answer: PromiseWithResolvers<PathInfo | undefined>
}

/**
 * Asks peers for PathInfos. Questions to one peer that come up together travel in one request:
 * Nix asks for the paths of a closure by the hundred.
 */
export class PathAsker {
  readonly #client: ExchangeClient
  readonly #waiting = new Map<string, Question[]>()
  readonly #clock: Clock
  readonly #stopping = new AbortController()
  readonly #debts = new Map<string, Debt>()
  /** What peers usually take to answer, in milliseconds. */
  readonly #usual: ExpiringMap<number>

  constructor(components: { client: ExchangeClient; clock: Clock }) {
    this.#client = components.client
    this.#clock = components.clock
    const kept = { keptMs: USUAL_KEPT_MS, weightMax: USUAL_PEERS_MAX }
    this.#usual = new ExpiringMap(components, kept)
  }

  /** How long a peer is worth waiting for, by what it usually takes, in milliseconds. */
  patienceMs(peer: string): number {
    const usualMs = this.#usual.get(peer)
    if (usualMs === undefined) return NEIGHBOUR_UNPROVEN_MS
    return Math.min(Math.max(PATIENCE_RATIO * usualMs, NEIGHBOUR_MS_MIN), NEIGHBOUR_MS_MAX)
  }

  /**
   * Whether a peer is worth another question: who keeps silent is asked a few more, in case that it
   * is only slow.
   */
  mayAsk(peer: string): boolean {
    return !this.isSilent(peer) || this.#debts.get(peer)!.questions < SILENT_QUESTIONS_MAX
  }

  /** Whether a peer owes an answer for longer than it is waited for. */
  isSilent(peer: string): boolean {
    const debt = this.#debts.get(peer)
    return debt !== undefined && this.#clock.now() - debt.sinceMs >= this.patienceMs(peer)
  }

  /** What a peer says of a path; undefined where it does not have it. @throws PeerError */
  async ask(peer: string, hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const answer = Promise.withResolvers<PathInfo | undefined>()
    answer.promise.catch(() => undefined) // the caller may have left
    const waiting = this.#waiting.get(peer)
    if (waiting === undefined) {
      this.#waiting.set(peer, [{ hash, answer }])
      setImmediate(() => this.#send(peer))
    } else {
      waiting.push({ hash, answer })
    }
    return await unlessAborted(answer.promise, call.signal)
  }

  /** Takes back all questions under way. */
  stop(): void {
    this.#stopping.abort(new Error('stopping'))
  }

  #send(peer: string): void {
    const questions = this.#waiting.get(peer) ?? []
    this.#waiting.delete(peer)
    for (let i = 0; i < questions.length; i += WANTS_MAX) {
      const batch = questions.slice(i, i + WANTS_MAX)
      void this.#askAndTell(peer, batch)
    }
  }

  async #askAndTell(peer: string, batch: readonly Question[]): Promise<void> {
    try {
      await this.#askBatch(peer, batch)
      for (const { answer } of batch) answer.resolve(undefined)
    } catch (error) {
      for (const { answer } of batch) answer.reject(error)
    }
  }

  async #askBatch(peer: string, batch: readonly Question[]): Promise<void> {
    const want = { type: 'path-infos', hashes: batch.map(({ hash }) => hash) } as const
    const askedAtMs = this.#clock.now()
    const debt = this.#debts.get(peer) ?? { questions: 0, sinceMs: askedAtMs }
    this.#debts.set(peer, debt)
    debt.questions++
    let hasAnswered = false
    const onAnswer = (answer: AnswerItem): void => {
      if (!hasAnswered) this.#answered(peer, debt, askedAtMs)
      hasAnswered = true
      if (answer.type === 'absent') {
        for (const index of answer.indices) batch[index]?.answer.resolve(undefined)
        return
      }
      const question = answer.type === 'path-info' ? batch[answer.index] : undefined
      if (answer.type !== 'path-info' || question === undefined) {
        const what = `${answer.type} instead of PathInfos`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      if (!equalBytes(answer.pathInfo.storePath.hash, question.hash)) {
        throw peerError({ code: 'protocol-broken', peer, what: 'a PathInfo of another path' })
      }
      question.answer.resolve(answer.pathInfo)
    }
    const call = { signal: this.#stopping.signal }
    try {
      await this.#client.ask(peer, { want, bytes: batch.length * ANSWER_BYTES, onAnswer }, call)
    } finally {
      if (--debt.questions === 0) this.#debts.delete(peer)
    }
  }

  #answered(peer: string, debt: Debt, askedAtMs: number): void {
    const nowMs = this.#clock.now()
    debt.sinceMs = nowMs
    const tookMs = nowMs - askedAtMs
    const usualMs = this.#usual.get(peer) ?? tookMs
    this.#usual.set(peer, usualMs + ANSWER_WEIGHT * (tookMs - usualMs))
  }
}
