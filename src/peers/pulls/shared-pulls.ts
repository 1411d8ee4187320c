import type { Castore } from '../../castore/castore.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import type { PathFacts } from '../../pathinfo/path-facts.ts'
import type { ReadAccess } from '../../pathinfo/read-access.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type { Pull, PullSharing } from '../../substitution/pull-sharing.ts'
import type { PullSource } from '../exchange/pull-source.ts'
import type { PeerNetwork } from '../peer-network.ts'
import { AnswerTimes } from './answer-times.ts'
import { PullClaim } from './pull-claim.ts'
import { pullName } from './pull-name.ts'
import type { PullNews } from './pull-news.ts'
import { PullPlaces } from './pull-places.ts'
import { PullTurn, type PullTurnComponents } from './pull-turn.ts'
import { ToldRoom } from './told-room.ts'

/** How many paths may be wanted aloud at once; further ones wait. */
export const TURNS_MAX = 48

/** For how long neighbours who ask late are told that a path has been pulled, in milliseconds. */
export const COMPLETE_MS = 30_000

/** How many paths that were pulled are told of. */
export const COMPLETE_MAX = 1_024

/** For how long a peer is not waited for whose pull has stalled, in milliseconds. */
export const STALLED_PEER_MS = 60_000

/** For how long a peer's word that it has a path is not taken again, in milliseconds. */
export const SAID_MS = 60_000

/** How many such words of peers are remembered. */
export const SAID_MAX = 4_096

/** What it works with. */
export interface SharedPullsComponents
  extends Omit<PullTurnComponents, 'room' | 'access' | 'answerTimes' | 'places' | 'network'> {
  readonly network: Pick<PeerNetwork, 'connected' | 'onConnect'>
  readonly access: Pick<ReadAccess, 'shares' | 'reachesBlob'>
}

/**
 * Shares the work of pulling paths from caches with the neighbours who want the same. Nobody is
 * told of a path that the share policy keeps here, nor of one that it can not name.
 */
export class SharedPulls implements PullSharing, PullSource {
  readonly #components: SharedPullsComponents
  readonly #room = new ToldRoom()
  readonly #slots = new Semaphore(TURNS_MAX)
  readonly #turns = new Map<string, { readonly turn: PullTurn; readonly claim: PullClaim }>()
  /** What was pulled a while ago, the oldest first. */
  readonly #complete = new Map<string, PullClaim>()
  /** Until when words do not count: of peers, or of peers about one path; the oldest first. */
  readonly #spent = new Map<string, number>()
  readonly #answerTimes: AnswerTimes
  readonly #places: PullPlaces
  readonly #stopping = new AbortController()

  constructor(components: SharedPullsComponents) {
    this.#components = components
    this.#answerTimes = new AnswerTimes(components)
    this.#places = new PullPlaces(components)
    components.network.onConnect((peer) => {
      for (const { turn } of this.#turns.values()) turn.greet(peer)
    })
  }

  async turn(
    facts: PathFacts,
    into: Castore,
    progress: FetchProgress,
    call: Call,
  ): Promise<Pull | undefined> {
    call.signal.throwIfAborted()
    const name = pullName(facts)
    if (!this.#components.access.shares(facts) || this.#turns.has(name.hex)) return unshared()
    const inner = narrowedCall(call, this.#stopping.signal)
    const slot = await this.#slots.acquire(1, inner)
    if (this.#turns.has(name.hex)) {
      slot[Symbol.dispose]()
      return unshared()
    }
    const { clock } = this.#components
    const init = { narSize: facts.narSize, progress }
    const claim = new PullClaim({ clock, room: this.#room }, init)
    const onEnd = ({ isComplete }: { readonly isComplete: boolean }): void => {
      this.#turns.delete(name.hex)
      slot[Symbol.dispose]()
      if (isComplete) this.#keep(name, claim)
      else claim.end()
    }
    const isTrusted = (peer: string): boolean => this.#isTrusted(peer, name)
    const onSpent = (peer: string, why: 'complete' | 'stalled'): void =>
      this.#spend(why === 'stalled' ? peer : `${peer} ${name.hex}`, why)
    const stopping = this.#stopping.signal
    const shared = { room: this.#room, answerTimes: this.#answerTimes, places: this.#places }
    const turn = new PullTurn(
      { ...this.#components, ...shared },
      { name, facts, into, progress, claim, isTrusted, stopping, onSpent, onEnd },
    )
    this.#turns.set(name.hex, { turn, claim })
    return await turn.run(call)
  }

  async *watch(peer: string, name: Digest, call: Call): AsyncGenerator<PullNews> {
    const wanted = this.#turns.get(name.hex)
    wanted?.turn.meet(peer)
    const claim = wanted?.claim ?? this.#complete.get(name.hex)
    if (claim !== undefined) yield* claim.watch(call)
  }

  /** Ends all turns. */
  stop(): void {
    this.#stopping.abort(new Error('stopping'))
    for (const { claim } of this.#turns.values()) claim.end()
    for (const claim of this.#complete.values()) claim.end()
    this.#complete.clear()
  }

  #isTrusted(peer: string, name: Digest): boolean {
    const nowMs = this.#components.clock.now()
    const isSpent = (key: string): boolean => (this.#spent.get(key) ?? 0) > nowMs
    return !isSpent(peer) && !isSpent(`${peer} ${name.hex}`)
  }

  #spend(key: string, why: 'complete' | 'stalled'): void {
    const forMs = why === 'stalled' ? STALLED_PEER_MS : SAID_MS
    this.#spent.delete(key)
    this.#spent.set(key, this.#components.clock.now() + forMs)
    const [oldest] = this.#spent.keys()
    if (this.#spent.size > SAID_MAX && oldest !== undefined) this.#spent.delete(oldest)
  }

  #keep(name: Digest, claim: PullClaim): void {
    this.#complete.get(name.hex)?.end()
    this.#complete.delete(name.hex)
    this.#complete.set(name.hex, claim)
    const end = (key: string, it: PullClaim): void => {
      it.end()
      if (this.#complete.get(key) === it) this.#complete.delete(key)
    }
    const [oldest] = this.#complete
    if (this.#complete.size > COMPLETE_MAX && oldest !== undefined) end(...oldest)
    const over = (): void => end(name.hex, claim)
    const call = { signal: this.#stopping.signal }
    this.#components.clock.sleep(COMPLETE_MS, call).then(over, over)
  }
}

/** What is pulled without a word to anybody. */
function unshared(): Pull {
  return {
    lost: new AbortController().signal,
    again: async () => unshared(),
    stored: () => undefined,
    complete: () => undefined,
    [Symbol.dispose]: () => undefined,
  }
}
