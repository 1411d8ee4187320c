import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { ExchangeClient } from './exchange/exchange-client.ts'
import type { AnswerItem } from './exchange/exchange-session.ts'
import { WANTS_MAX } from './exchange/want.ts'
import type { Patience } from './patience.ts'
import { peerError } from './peer-error.ts'

/** About how many bytes the answer about one path has, for the cap on what is in flight. */
const ANSWER_BYTES = 1024

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
  readonly #patience: Pick<Patience, 'asked'>
  readonly #stopping = new AbortController()

  constructor(components: { client: ExchangeClient; patience: Pick<Patience, 'asked'> }) {
    this.#client = components.client
    this.#patience = components.patience
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
    const awaited = this.#patience.asked(peer)
    let hasAnswered = false
    const onAnswer = (answer: AnswerItem): void => {
      if (!hasAnswered) awaited.answered()
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
      awaited.over()
    }
  }
}
