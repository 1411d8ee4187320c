import { BitSet } from '../../foundation/bit-set.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import { type Random, shuffled } from '../../foundation/random.ts'
import { waitUpTo } from '../../foundation/wait-up-to.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { PeerError, peerError } from '../peer-error.ts'
import type { PeerNetwork } from '../peer-network.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import { type Availability, MEMBER_SILENCE_MS } from './availability.ts'
import type { PieceFetch } from './piece-fetch.ts'
import type { Pieces } from './pieces.ts'
import type { Swarm } from './swarm.ts'

/**
 * How long a fetch waits at its begin for others to say whether they are at it: not to ask for just
 * what they are asking for.
 */
export const GREETING_MS = 250

/** How many others a fetch keeps itself informed about. */
export const MEMBERS_MAX = 32

/** What it works with. */
export interface MemberWatchComponents {
  readonly client: Pick<ExchangeClient, 'ask'>
  readonly network: Pick<PeerNetwork, 'connected'>
  readonly ledger: PeerLedger
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/**
 * Keeps a fetch informed of what others have of the same root: asks neighbours when it begins, and
 * whoever asks here from then on, so that each two of them know of each other whoever was first.
 */
export class MemberWatch {
  readonly #components: MemberWatchComponents
  readonly #swarm: Swarm
  readonly #pieces: Pieces
  readonly #fetch: PieceFetch
  readonly #watched = new Map<string, Promise<void>>()

  constructor(
    components: MemberWatchComponents,
    init: { readonly swarm: Swarm; readonly pieces: Pieces; readonly fetch: PieceFetch },
  ) {
    this.#components = components
    this.#swarm = init.swarm
    this.#pieces = init.pieces
    this.#fetch = init.fetch
  }

  /**
   * Watches until `work` has come to its end: those first who are known to have it, and then
   * whoever else is connected.
   */
  async during<T>(holders: Iterable<string>, work: () => Promise<T>, call: Call): Promise<T> {
    const over = new AbortController()
    const inner = narrowedCall(call, over.signal)
    using _listening = this.#swarm.onMember((peer) => this.#meet(peer, inner))
    const { network, random } = this.#components
    const others = shuffled(network.connected(), random).map(({ id }) => id)
    const greeted = [...holders, ...others].map((id) => this.#meet(id, inner))
    try {
      await waitUpTo(this.#components.clock, GREETING_MS, Promise.all(greeted), call)
      return await work()
    } finally {
      over.abort(new Error('the fetch is over'))
      await Promise.all(this.#watched.values())
    }
  }

  /** Begins to watch a peer; resolves when it has first said something, or will not. */
  #meet(peer: string, call: Call): Promise<void> {
    const isFull = this.#watched.size >= MEMBERS_MAX
    const isWelcome = this.#components.ledger.standing(peer) === 'welcome'
    if (isFull || !isWelcome || this.#watched.has(peer) || call.signal.aborted) {
      return Promise.resolve()
    }
    const greeting = Promise.withResolvers<void>()
    const watching = this.#watch(peer, greeting.resolve, call).finally(() => {
      this.#watched.delete(peer)
      greeting.resolve()
    })
    this.#watched.set(peer, watching)
    return greeting.promise
  }

  /** Throws nothing. */
  async #watch(peer: string, onGreeting: () => void, call: Call): Promise<void> {
    const { client, log } = this.#components
    const want = {
      type: 'swarm',
      root: this.#swarm.root,
      pieces: this.#pieces.id.bytes,
    } as const
    const onAnswer = (answer: AnswerItem): void => {
      if (answer.type === 'absent') return
      if (answer.type !== 'availability') {
        const what = `${answer.type} instead of what it has`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      this.#take(peer, answer.availability)
      onGreeting()
    }
    try {
      const patience = { lasts: true, silenceMs: MEMBER_SILENCE_MS }
      await client.ask(peer, { want, bytes: 0, ...patience, onAnswer }, call)
    } catch (error) {
      if (!call.signal.aborted) log.debug('a member is out of sight', { peer, error })
      if (!(error instanceof PeerError) && !call.signal.aborted) this.#fetch.fail(error)
    } finally {
      this.#fetch.part(peer)
    }
  }

  #take(peer: string, said: Availability): void {
    const { size } = this.#pieces
    if (said.held !== undefined) {
      const held = BitSet.of(size, said.held)
      if (held === undefined) throw nonsense(peer, `${said.held.length} bytes of ${size} pieces`)
      this.#fetch.meetPartial(peer, held)
    } else if (said.complete !== true && !this.#fetch.knows(peer)) {
      this.#fetch.meetPartial(peer, new BitSet(size)) // it will say what it has
    }
    for (const pieces of [said.added, said.claimed, said.released]) {
      const wrong = pieces?.find((piece) => piece >= size)
      if (wrong !== undefined) throw nonsense(peer, `piece ${wrong} of ${size}`)
    }
    if (said.added !== undefined && said.added.length > 0) this.#fetch.gained(peer, said.added)
    if (said.claimed !== undefined) this.#fetch.claimed(peer, said.claimed, true)
    if (said.released !== undefined) this.#fetch.claimed(peer, said.released, false)
    if (said.complete === true) this.#fetch.meetComplete(peer)
    if (said.division !== undefined) {
      const { members, rank } = said.division
      if (rank >= members) throw nonsense(peer, `number ${rank} of ${members}`)
      this.#fetch.divided(peer, said.division)
    }
  }
}

function nonsense(peer: string, what: string): PeerError {
  return peerError({ code: 'protocol-broken', peer, what })
}
