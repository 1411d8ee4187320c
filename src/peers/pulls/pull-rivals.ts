import type { ChunkRef } from '../../castore/blob-store.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Log } from '../../foundation/log.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { peerError } from '../peer-error.ts'
import type { PeerNetwork } from '../peer-network.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import type { AnswerTimes } from './answer-times.ts'
import { pullWeight } from './pull-name.ts'
import { PULL_SILENCE_MS, type PullNews, type PullPhase } from './pull-news.ts'
import type { ToldRoom } from './told-room.ts'
import type { Rival } from './who-pulls.ts'

/** How many neighbours are asked about one path. */
export const RIVALS_MAX = 128

/** What a chunk takes of a NAR at least, in bytes: small files have names and words around them. */
const CHUNK_NAR_BYTES_MIN = 96

/** With less than this in {@link STALLED_MS} a pull counts as stalled, in bytes. */
const STALLED_BYTES = 64 * 1024

/** Who pulls and brings nothing new for so long is not waited for, in milliseconds. */
export const STALLED_MS = 15_000

/** What it works with. */
export interface PullRivalsComponents {
  readonly client: Pick<ExchangeClient, 'ask' | 'reportError'>
  readonly network: Pick<PeerNetwork, 'connected'>
  readonly ledger: Pick<PeerLedger, 'standing'>
  readonly clock: Clock
  readonly log: Log
  readonly room: ToldRoom
  readonly answerTimes: AnswerTimes
}

/** Another node that wants the path, and what it has told of it. */
export interface ToldRival extends Rival {
  /** Tells its pull from others. */
  readonly run: number
  /** The chunks of its pull so far, in the order of the NAR. */
  readonly chunks: readonly ChunkRef[]
}

interface Watched {
  readonly weight: number
  /** Undefined where it has not said yet that it wants the path. */
  phase: PullPhase | undefined
  isSpent: boolean
  run: number
  chunks: ChunkRef[]
  /** The length and number of all chunks of its pull, kept or not. */
  toldBytes: number
  toldChunks: number
  pulledBytes: number
  /** What it had told and pulled when it was last seen to go on, and when that was. */
  seenBytes: number
  seenMs: number
  hasAnswered: boolean
  /** Until when its answer is waited for. */
  readonly patientUntilMs: number
  /** Whether it has said that it wants the path since it was asked. */
  wantsAgain: boolean
}

/** Keeps itself informed of what the neighbours do about one path. */
export class PullRivals {
  readonly #components: PullRivalsComponents
  readonly #name: Digest
  readonly #narSize: number
  readonly #isTrusted: (peer: string) => boolean
  readonly #onStalled: (peer: string) => void
  readonly #watched = new Map<string, Watched>()
  readonly #watching = new Set<Promise<void>>()
  readonly #over = new AbortController()
  #changed = Promise.withResolvers<void>()

  /**
   * @param init.isTrusted whether a peer's word about this path counts
   * @param init.onStalled is told once of who pulls and brings nothing new
   */
  constructor(
    components: PullRivalsComponents,
    init: {
      readonly name: Digest
      readonly narSize: number
      readonly isTrusted: (peer: string) => boolean
      readonly onStalled: (peer: string) => void
    },
  ) {
    this.#components = components
    this.#name = init.name
    this.#narSize = init.narSize
    this.#isTrusted = init.isTrusted
    this.#onStalled = init.onStalled
  }

  /** Resolves when somebody has said something new. */
  get news(): Promise<void> {
    return this.#changed.promise
  }

  /** Until when those have the time to answer who have not said whether they want the path. */
  get settlesAtMs(): number {
    let atMs = Number.NEGATIVE_INFINITY
    for (const { hasAnswered, patientUntilMs } of this.#watched.values()) {
      if (!hasAnswered) atMs = Math.max(atMs, patientUntilMs)
    }
    return atMs
  }

  /** All who want the path, as far as is known. */
  get all(): ToldRival[] {
    const nowMs = this.#components.clock.now()
    return [...this.#watched].flatMap(([id, it]) => {
      if (it.phase === undefined) return []
      const isStalled = it.phase === 'pulling' && nowMs - it.seenMs >= STALLED_MS
      if (isStalled && !it.isSpent) {
        it.isSpent = true
        this.#onStalled(id)
      }
      const { weight, phase, run, chunks, toldBytes } = it
      return [
        { id, weight, phase, run, chunks, toldBytes, isSpent: it.isSpent || !this.#isTrusted(id) },
      ]
    })
  }

  /** Asks all neighbours. */
  meetAll(): void {
    for (const { id } of this.#components.network.connected()) this.meet(id)
  }

  /** Begins to watch a peer, if that is not done yet; `wants` where it has said that it does. */
  meet(peer: string, init: { readonly wants?: boolean } = {}): void {
    const { ledger, clock, answerTimes } = this.#components
    const known = this.#watched.get(peer)
    if (known !== undefined) {
      // Its answer that it does not want the path may be older, and on its way.
      if (init.wants === true) known.wantsAgain = true
      return
    }
    if (this.#watched.size >= RIVALS_MAX || this.#over.signal.aborted) return
    if (ledger.standing(peer) !== 'welcome') return
    const patientUntilMs = answerTimes.patientUntilMs(peer)
    const watched: Watched = {
      patientUntilMs,
      ...{ weight: pullWeight(this.#name, peer), isSpent: false, run: 0, chunks: [] },
      ...{
        phase: init.wants === true ? 'waiting' : undefined,
        hasAnswered: false,
        wantsAgain: false,
      },
      ...{ toldBytes: 0, toldChunks: 0, pulledBytes: 0, seenBytes: 0, seenMs: clock.now() },
    }
    this.#watched.set(peer, watched)
    const watching = this.#watch(peer, watched).finally(() => {
      this.#components.room.giveBack(watched.chunks.length)
      this.#watched.delete(peer)
      this.#watching.delete(watching)
      if (watched.wantsAgain && watched.phase === undefined) this.meet(peer, { wants: true })
      this.#tell()
    })
    this.#watching.add(watching)
    this.#tell()
  }

  /** Asks nobody any more. */
  async end(): Promise<void> {
    this.#over.abort(new Error('the path is not wanted any more'))
    await Promise.all(this.#watching)
  }

  /** Throws nothing. */
  async #watch(peer: string, watched: Watched): Promise<void> {
    const { client, log, clock, answerTimes } = this.#components
    const call = { signal: this.#over.signal }
    const askedAtMs = clock.now()
    const onAnswer = (answer: AnswerItem): void => {
      if (!watched.hasAnswered) answerTimes.answered(peer, askedAtMs)
      watched.hasAnswered = true
      if (answer.type === 'pull') this.#take(peer, watched, answer.news)
      else if (answer.type !== 'absent') {
        const what = `${answer.type} instead of what it pulls`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      this.#tell()
    }
    const want = { type: 'pull', name: this.#name } as const
    // Earlier versions refuse what they do not know: that says nothing against them.
    const patience = { lasts: true, silenceMs: PULL_SILENCE_MS, isOptional: true }
    try {
      await client.ask(peer, { want, bytes: 0, ...patience, onAnswer }, call)
    } catch (error) {
      if (!this.#over.signal.aborted) log.debug('a pull is out of sight', { peer, error })
    }
  }

  /** @throws PeerError where more is told than there can be */
  #take(peer: string, watched: Watched, news: PullNews): void {
    const { room, clock } = this.#components
    if (news.run !== watched.run) {
      room.giveBack(watched.chunks.length)
      Object.assign(watched, { run: news.run, chunks: [], toldBytes: 0, toldChunks: 0 })
      Object.assign(watched, { seenBytes: 0, seenMs: clock.now() })
    }
    watched.phase = news.phase
    watched.pulledBytes = news.pulledBytes
    watched.toldBytes += news.chunks.reduce((sum, { size }) => sum + size, 0)
    watched.toldChunks += news.chunks.length
    const chunksMax = 1 + this.#narSize / CHUNK_NAR_BYTES_MIN
    if (watched.toldBytes > this.#narSize || watched.toldChunks > chunksMax) {
      const what = `${watched.toldBytes} bytes of a NAR of ${this.#narSize}`
      throw peerError({ code: 'pull-false', peer, what })
    }
    // What finds no room is not kept, nor what follows it: the list has no gaps.
    const isWhole = watched.chunks.length === watched.toldChunks - news.chunks.length
    if (isWhole && room.take(news.chunks.length)) watched.chunks.push(...news.chunks)
    const bytes = watched.toldBytes + watched.pulledBytes
    const isOn = bytes - watched.seenBytes >= STALLED_BYTES || news.phase !== 'pulling'
    if (!isOn) return
    watched.seenBytes = bytes
    watched.seenMs = clock.now()
  }

  #tell(): void {
    const changed = this.#changed
    this.#changed = Promise.withResolvers<void>()
    changed.resolve()
  }
}
