import type { Castore } from '../../castore/castore.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { waitUpTo } from '../../foundation/wait-up-to.ts'
import type { PathFacts } from '../../pathinfo/path-facts.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type { Pull } from '../../substitution/pull-sharing.ts'
import type { NeighbourFilters } from '../filters/neighbour-filters.ts'
import { SPREAD_BYTES_MIN } from '../swarm/content-fetch.ts'
import type { Membership, Swarms } from '../swarm/swarms.ts'
import type { PullClaim } from './pull-claim.ts'
import { PullFollowing, type PullFollowingComponents } from './pull-following.ts'
import { pullRoot, pullWeight } from './pull-name.ts'
import type { PullPlaces } from './pull-places.ts'
import type { PullProofs } from './pull-proofs.ts'
import { PullRivals, type PullRivalsComponents, type ToldRival } from './pull-rivals.ts'
import { type PullMove, whoPulls } from './who-pulls.ts'

/** How long who has a path whole may take until its neighbours know that they can ask for it. */
export const HAVING_MS = 2_000

/** How often it is looked whether they know, and whether somebody has stalled. */
const LOOK_MS = 10
const STALL_LOOK_MS = 1_000

/** What it works with. */
export interface PullTurnComponents
  extends PullRivalsComponents,
    Omit<PullFollowingComponents, 'castore' | 'progress' | 'client' | 'network' | 'ledger'> {
  readonly ledger: PullFollowingComponents['ledger']
  readonly swarms: Pick<Swarms, 'open'>
  /** Which paths neighbours are known to have; all count as known where it is left out. */
  readonly filters?: Pick<NeighbourFilters, 'has' | 'mayHave'>
  /** Where what was told is compared with what the path has; it is not where it is left out. */
  readonly proofs?: Pick<PullProofs, 'expect'>
  /** How much is pulled here at once. */
  readonly places: PullPlaces
  /** The id of this node. */
  readonly self: string
}

/** What a turn is about. */
export interface PullTurnInit {
  readonly name: Digest
  readonly facts: PathFacts
  readonly into: Castore
  readonly progress: FetchProgress
  readonly claim: PullClaim
  /** Whether a peer's word about the path counts. */
  readonly isTrusted: (peer: string) => boolean
  /** A peer had the path whole, or its pull came to nothing. */
  readonly onSpent: (peer: string, why: 'complete' | 'stalled') => void
  /** Aborts when the node stops. */
  readonly stopping: AbortSignal
  /** The turn is over, whatever came of it. */
  readonly onEnd: (init: { readonly isComplete: boolean }) => void
}

interface Following {
  readonly peer: string
  readonly run: number
  readonly fetch: PullFollowing | undefined
  readonly over: AbortController
  /** Resolves when it has come to its end; throws nothing. */
  readonly done: Promise<void>
}

/** One path that is wanted here: waits for who pulls it, or finds that it is this node's turn. */
export class PullTurn {
  readonly #components: PullTurnComponents
  readonly #init: PullTurnInit
  readonly #rivals: PullRivals
  readonly #weight: number
  readonly #over = new AbortController()
  #following: Following | undefined
  #idleSinceMs: number
  #isSettled = false

  constructor(components: PullTurnComponents, init: PullTurnInit) {
    this.#components = components
    this.#init = init
    this.#weight = pullWeight(init.name, components.self)
    this.#idleSinceMs = components.clock.now()
    const { name, facts, isTrusted } = init
    const onStalled = (peer: string): void => init.onSpent(peer, 'stalled')
    const { narSize } = facts
    this.#rivals = new PullRivals(components, { name, narSize, isTrusted, onStalled })
  }

  /** A neighbour has said that it wants the path. */
  meet(peer: string): void {
    this.#rivals.meet(peer, { wants: true })
  }

  /** A neighbour has connected: it may want the path as well. */
  greet(peer: string): void {
    this.#rivals.meet(peer)
  }

  /** The right to pull the path, or undefined once another has it. @throws the call's reason */
  async run(call: Call): Promise<Pull | undefined> {
    let pull: Pull | undefined
    try {
      this.#rivals.meetAll()
      this.#isSettled = false
      pull = await this.#await(narrowedCall(call, this.#init.stopping))
      return pull
    } finally {
      await this.#stopFollowing()
      if (pull === undefined) await this.#end(false)
    }
  }

  async #await(call: Call): Promise<Pull | undefined> {
    const { clock, places } = this.#components
    let turnSinceMs: number | undefined
    for (;;) {
      const { news } = this.#rivals
      const { freed } = places
      const settleMs = this.#rivals.settlesAtMs
      this.#isSettled ||= clock.now() >= settleMs
      const rivals = this.#rivals.all
      if (rivals.some(({ isSpent }) => !isSpent)) places.shared()
      const move = this.#move(rivals)
      if (move.do === 'pull') {
        turnSinceMs ??= clock.now()
        const placeMs = this.#isShort ? places.waitMs(turnSinceMs) : 0
        if (placeMs === 0) return this.#begin()
        await waitUpTo(clock, placeMs, Promise.race([news, freed]), call)
        continue
      }
      if (move.do === 'follow') {
        const rival = rivals.find(({ id }) => id === move.peer)!
        const isOver = await this.#follow(rival, call)
        if (isOver) return undefined
      } else {
        await this.#stopFollowing()
      }
      const waitMs = move.do === 'wait' ? (move.ms ?? settleMs - clock.now()) : STALL_LOOK_MS
      await waitUpTo(clock, Math.max(0, waitMs), news, call)
    }
  }

  #move(rivals: readonly ToldRival[]): PullMove {
    const { clock, self: id } = this.#components
    const nowMs = clock.now()
    const isIdle = !rivals.some((it) => it.phase !== 'waiting' && !it.isSpent)
    if (!isIdle) this.#idleSinceMs = nowMs
    const { claim } = this.#init
    return whoPulls({
      self: { id, weight: this.#weight },
      pulledBytes: claim.phase === 'pulling' ? claim.storedBytes : undefined,
      following: this.#following?.peer,
      rivals,
      isSettled: this.#isSettled,
      idleSinceMs: this.#idleSinceMs,
      nowMs,
    })
  }

  /** Takes up what another has told; says whether it has the path whole, and all told has come. */
  async #follow(rival: ToldRival, call: Call): Promise<boolean> {
    const { id: peer, run } = rival
    const isSame = this.#following?.peer === peer && this.#following.run === run
    if (!isSame) {
      await this.#stopFollowing()
      this.#following = this.#startFollowing(rival, call)
    }
    const following = this.#following!
    following.fetch?.tell(rival.chunks)
    if (rival.phase !== 'complete') return false
    following.fetch?.end()
    await following.done
    call.signal.throwIfAborted()
    this.#init.onSpent(peer, 'complete')
    this.#components.proofs?.expect(this.#init.name, peer, rival.chunks)
    await this.#untilKnown(peer, call)
    return true
  }

  #startFollowing({ id: peer, run }: ToldRival, call: Call): Following {
    const { facts, name, into, progress } = this.#init
    const { log, self } = this.#components
    const over = new AbortController()
    const { narSize } = facts
    // What is as short as that comes sooner when it is whole.
    if (this.#isShort) {
      return { peer, run, fetch: undefined, over, done: Promise.resolve() }
    }
    const pull = { peer, root: pullRoot(name, run, peer), narSize, self }
    const components = { ...this.#components, castore: into, progress }
    const fetch = new PullFollowing(components, { pull, whole: call })
    const done = fetch.run(narrowedCall(call, over.signal)).catch((error) => {
      // What has not come this way comes when the path is whole.
      if (!over.signal.aborted && !call.signal.aborted) log.info('a pull is lost', { peer, error })
    })
    return { peer, run, fetch, over, done }
  }

  async #stopFollowing(): Promise<void> {
    const following = this.#following
    this.#following = undefined
    following?.over.abort(new Error('the pull is not followed any more'))
    await following?.done
  }

  /** Waits until a peer's filter says that it has the path: who is not known to is not asked. */
  async #untilKnown(peer: string, call: Call): Promise<void> {
    const { clock, filters } = this.#components
    const { hash } = this.#init.facts.storePath
    const endMs = clock.now() + HAVING_MS
    while (filters?.mayHave(peer, hash) === false && clock.now() < endMs) {
      await clock.sleep(LOOK_MS, call)
    }
  }

  /** Whether others do not have it before it is here whole. */
  get #isShort(): boolean {
    return this.#init.facts.narSize < SPREAD_BYTES_MIN
  }

  #begin(): Pull {
    const { random, swarms, self } = this.#components
    const { claim, name, facts } = this.#init
    const run = 1 + random.integer(0xffff_ffff)
    const root = pullRoot(name, run, self)
    const membership = this.#isShort ? undefined : swarms.open(root, { isOrigin: true })
    const lost = new AbortController()
    const place = this.#components.places.take(this.#isShort ? facts.narSize : 0)
    claim.begin(run)
    void this.#watchRight(lost)
    return this.#pull(lost.signal, membership, place)
  }

  #pull(lost: AbortSignal, membership: Membership | undefined, place: Disposable): Pull {
    const { claim } = this.#init
    let isOver = false
    return {
      lost,
      stored: (chunk) => {
        if (claim.stored(chunk)) membership?.swarm.reach([chunk.digest])
      },
      complete: () => {
        if (isOver) return
        membership?.complete()
        claim.complete()
        place[Symbol.dispose]()
      },
      again: (call) => {
        isOver = true
        membership?.[Symbol.dispose]()
        claim.yield()
        place[Symbol.dispose]()
        return this.run(call)
      },
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        membership?.[Symbol.dispose]()
        place[Symbol.dispose]()
        void this.#end(claim.phase === 'complete')
      },
    }
  }

  /** Looks whether another with a better right pulls the path as well. */
  async #watchRight(lost: AbortController): Promise<void> {
    while (!this.#over.signal.aborted && this.#init.claim.phase === 'pulling') {
      const { news } = this.#rivals
      const move = this.#move(this.#rivals.all)
      if (move.do === 'yield') {
        lost.abort(new Error(`${move.peer} pulls the path as well, and goes first`))
        return
      }
      const call = { signal: this.#over.signal }
      const { clock } = this.#components
      await waitUpTo(clock, STALL_LOOK_MS, news, call).catch(() => undefined) // it is over
    }
  }

  async #end(isComplete: boolean): Promise<void> {
    this.#over.abort(new Error('the turn is over'))
    this.#init.onEnd({ isComplete })
    await this.#rivals.end()
  }
}
