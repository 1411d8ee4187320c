import type { ChunkRef, GivenChunk } from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import type { Call } from '../../foundation/call.ts'
import { DeadlineError, withDeadline } from '../../foundation/clock.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { peerError } from '../peer-error.ts'
import { askInTurn } from './ask-in-turn.ts'
import type { ContentFetchComponents } from './content-fetch-components.ts'
import { unpackChunks } from './unpack-chunks.ts'

/**
 * How often the holders are gone through where some of them fail: on a busy machine an honest peer
 * may seem to stall.
 */
const ROUNDS_MAX = 2

/** How long a reader waits for a chunk that is being fetched, before it asks for it itself. */
export const UNDER_WAY_MS = 2_000

/**
 * Reads chunks from the store, or else from a holder, and stores them. Readers of the same blob
 * share this: what one of them is fetching already, the others wait for.
 */
export class ChunkReads {
  readonly #components: ContentFetchComponents
  readonly #holders: Iterable<string>
  /** When the fetching of each chunk that is on its way will be over, well or not. */
  readonly #fetching = new Map<string, Promise<void>>()

  constructor(components: ContentFetchComponents, init: { holders: Iterable<string> }) {
    this.#components = components
    this.#holders = init.holders
  }

  /**
   * The chunks' bytes, in their order.
   * @throws PeerError 'no-holder' where nobody has one; ProofError where one has another length
   */
  async read(chunks: readonly ChunkRef[], call: Call): Promise<Uint8Array[]> {
    const found: (Uint8Array | undefined)[] = chunks.map(() => undefined)
    let isBrought = false
    for (let missing = [...chunks.keys()]; missing.length > 0; ) {
      await this.#lookUp(chunks, missing, found, call)
      missing = missing.filter((i) => found[i] === undefined)
      if (missing.length > 0 && !isBrought) {
        isBrought = true
        if (await this.#bring(chunks, missing, call)) continue
      }
      const wanted = new Map(missing.map((i) => [chunks[i]!.digest.hex, i]))
      const others = [...wanted.keys()].flatMap((hex) => this.#fetching.get(hex) ?? [])
      const own = [...wanted].flatMap(([hex, i]) => (this.#fetching.has(hex) ? [] : [i]))
      if (own.length > 0) await this.#fetch(chunks, own, found, call)
      // What others do not bring, because they leave or fail, is this one's own the next time.
      await unlessAborted(Promise.all(others), call.signal)
    }
    return found.map((bytes, i) => {
      if (bytes!.length !== chunks[i]!.size) throw wrongSize(bytes!.length)
      return bytes!
    })
  }

  /** Waits a while for what a fetch of it all may bring; says whether there was any to wait for. */
  async #bring(
    chunks: readonly ChunkRef[],
    missing: readonly number[],
    call: Call,
  ): Promise<boolean> {
    const { underWay, clock } = this.#components
    if (underWay === undefined) return false
    const digests = missing.map((i) => chunks[i]!.digest)
    try {
      await withDeadline(clock, UNDER_WAY_MS, 'a chunk on its way', call, (timed) =>
        underWay.bring(digests, timed),
      )
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error
    }
    return true
  }

  async #lookUp(
    chunks: readonly ChunkRef[],
    missing: readonly number[],
    found: (Uint8Array | undefined)[],
    call: Call,
  ): Promise<void> {
    const digests = missing.map((i) => chunks[i]!.digest)
    const held = await this.#components.castore.blobs.readChunks(digests, call)
    for (const [at, i] of missing.entries()) found[i] = held[at]
  }

  /** Brings chunks that nobody else is bringing. @throws PeerError 'no-holder' */
  async #fetch(
    chunks: readonly ChunkRef[],
    wanted: readonly number[],
    found: (Uint8Array | undefined)[],
    call: Call,
  ): Promise<void> {
    const keys = wanted.map((i) => chunks[i]!.digest.hex)
    const over = Promise.withResolvers<void>()
    for (const key of keys) this.#fetching.set(key, over.promise)
    try {
      const ask = async (peer: string): Promise<'enough' | 'more'> => {
        const missing = wanted.filter((i) => found[i] === undefined)
        if (missing.length > 0) await this.#ask(peer, chunks, missing, found, call)
        return wanted.every((i) => found[i] !== undefined) ? 'enough' : 'more'
      }
      let failure: unknown
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const asked = await askInTurn(this.#holders, this.#components, ask, call)
        if (asked.whole) return
        failure = asked.failure ?? failure
        if (asked.failure === undefined) break // nobody failed: they lack it
      }
      const lost = wanted.find((i) => found[i] === undefined)
      throw peerError({ code: 'no-holder', digest: chunks[lost!]!.digest.hex }, failure)
    } finally {
      for (const key of keys) this.#fetching.delete(key)
      over.resolve()
    }
  }

  /** Asks one peer for the chunks that are missing; what it has is stored, which checks it. */
  async #ask(
    peer: string,
    chunks: readonly ChunkRef[],
    missing: readonly number[],
    found: (Uint8Array | undefined)[],
    call: Call,
  ): Promise<void> {
    const want = {
      type: 'chunks',
      digests: missing.map((i) => chunks[i]!.digest),
      packed: true,
    } as const
    const bytes = missing.reduce((sum, i) => sum + chunks[i]!.size, 0)
    const unanswered = new Set(missing.keys())
    const named = (index: number): number => {
      if (unanswered.delete(index)) return missing[index]!
      const what = `an answer about item ${index} of ${missing.length}, or one too many`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    const onAnswer = async (answer: AnswerItem): Promise<void> => {
      if (answer.type === 'absent') {
        for (const index of answer.indices) named(index)
        return
      }
      if (answer.type !== 'chunks') {
        const what = `${answer.type} instead of chunks`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      const arrived = await unpackChunks(peer, answer.chunks, want.digests)
      const came = arrived.map(({ index, ...chunk }) => ({ at: named(index), ...chunk }))
      const given = came.map(({ at, ...chunk }) => ({ digest: chunks[at]!.digest, ...chunk }))
      await this.#put(peer, given, call)
      for (const it of came) found[it.at] = it.bytes
    }
    await this.#components.client.ask(peer, { want, bytes, onAnswer }, call)
  }

  async #put(peer: string, chunks: readonly GivenChunk[], call: Call): Promise<void> {
    try {
      await this.#components.castore.blobs.putChunks(chunks, call)
    } catch (error) {
      const isLie = error instanceof CastoreError && error.fault.code === 'digest-mismatch'
      if (!isLie) throw error
      throw peerError({ code: 'content-corrupt', peer, digest: error.fault.digest }, error)
    }
  }
}

function wrongSize(size: number): ProofError {
  return new ProofError({ code: 'size-invalid', size }, `${size} bytes are not what was said`)
}
