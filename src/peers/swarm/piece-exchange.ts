import type { Call } from '../../foundation/call.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { WANTS_MAX } from '../exchange/want.ts'
import { peerError } from '../peer-error.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import type { PieceEvents, PieceTransport } from './piece-fetch.ts'
import type { Pieces } from './pieces.ts'
import type { TakenChunk } from './taken-chunks.ts'
import { type ArrivedChunk, unpackChunks } from './unpack-chunks.ts'

/** With so many bytes, what has arrived is stored; sooner where the request ends. */
const PUT_BYTES = 1024 * 1024

/** Where the chunks of pieces go that have come. */
export interface PieceIntake {
  /** The numbers of a piece's chunks that are wanted and not here. */
  missingOf(piece: number): readonly number[]
  /** Whether all of a piece is here. */
  isHere(piece: number): boolean
  /** Whether content of an unexpected length is right all the same. */
  isRight(chunk: number, bytes: Uint8Array): boolean
  /** Stores chunks that a peer has sent. @throws PeerError 'content-corrupt' */
  take(peer: string, taken: readonly TakenChunk[], call: Call): Promise<void>
}

/** What it works with. */
export interface PieceExchangeComponents {
  readonly client: Pick<ExchangeClient, 'ask' | 'reportError'> &
    Partial<Pick<ExchangeClient, 'noteDelay'>>
  /** Who is told what peers have brought; without it, nobody. */
  readonly ledger?: Pick<PeerLedger, 'brought'>
  readonly intake: PieceIntake
  readonly pieces: Pieces
  readonly progress: FetchProgress
}

/** Asks peers for the chunks of pieces by the exchange protocol, and has them taken in. */
export class PieceExchange implements PieceTransport {
  readonly #components: PieceExchangeComponents
  /** The whole fetch: what has come is stored even where the request for it is taken back. */
  readonly #whole: Call

  constructor(components: PieceExchangeComponents, init: { readonly whole: Call }) {
    this.#components = components
    this.#whole = init.whole
  }

  async ask(
    peer: string,
    pieces: readonly number[],
    events: PieceEvents,
    call: Call,
  ): Promise<void> {
    const { intake } = this.#components
    const chunks = pieces.flatMap((piece) => intake.missingOf(piece))
    const requests: Promise<void>[] = []
    for (let i = 0; i < chunks.length; i += WANTS_MAX) {
      requests.push(this.#ask(peer, chunks.slice(i, i + WANTS_MAX), events, call))
    }
    // All of them end before what one of them threw is told.
    const outcomes = await Promise.allSettled(requests)
    for (const piece of pieces) if (intake.isHere(piece)) events.onHere(piece)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  async #ask(
    peer: string,
    chunks: readonly number[],
    events: PieceEvents,
    call: Call,
  ): Promise<void> {
    const { client, ledger, pieces, intake } = this.#components
    const refs = chunks.map((chunk) => pieces.chunks[chunk]!)
    const digests = refs.map(({ digest }) => digest)
    const bytes = refs.reduce((sum, { size }) => sum + size, 0)
    const arrivals: TakenChunk[] = []
    let arrivedBytes = 0
    const unanswered = new Set(chunks.keys())
    const named = (index: number): number => {
      if (unanswered.delete(index)) return chunks[index]!
      const what = `an answer about item ${index} of ${chunks.length}, or one too many`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    const store = async (): Promise<void> => {
      const taken = arrivals.splice(0)
      const takenBytes = arrivedBytes
      arrivedBytes = 0
      await intake.take(peer, taken, this.#whole)
      ledger?.brought(peer, takenBytes)
      const touched = new Set(taken.map(({ chunk }) => pieces.pieceOf(chunk)))
      for (const piece of touched) if (intake.isHere(piece)) events.onHere(piece)
    }
    const take = (arrived: readonly ArrivedChunk[]): void | Promise<void> => {
      for (const it of arrived) {
        arrivals.push(this.#taken(peer, named(it.index), it))
        arrivedBytes += it.bytes.length
      }
      if (arrivedBytes >= PUT_BYTES) return store()
    }
    const onAnswer = (answer: AnswerItem): void | Promise<void> => {
      if (answer.type === 'absent') {
        for (const index of answer.indices) events.onLacking(pieces.pieceOf(named(index)))
        return
      }
      if (answer.type !== 'chunks') {
        const what = `${answer.type} instead of chunks`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      const arrived = unpackChunks(peer, answer.chunks, digests)
      return arrived instanceof Promise ? arrived.then(take) : take(arrived)
    }
    const want = { type: 'chunks', digests, packed: true } as const
    // Another was faster: heard before the request is taken back, while it is known who is silent.
    const onAbort = (): void => {
      if (!this.#whole.signal.aborted) client.noteDelay?.(peer)
    }
    call.signal.addEventListener('abort', onAbort, { once: true })
    try {
      await client.ask(peer, { want, bytes, onAnswer }, call)
      for (const index of unanswered) events.onLacking(pieces.pieceOf(chunks[index]!))
    } finally {
      call.signal.removeEventListener('abort', onAbort)
      if (!this.#whole.signal.aborted) await this.#storeLast(peer, store)
    }
  }

  #taken(peer: string, chunk: number, { bytes, stored }: ArrivedChunk): TakenChunk {
    const { intake, pieces, progress } = this.#components
    if (!intake.isRight(chunk, bytes)) {
      const digest = pieces.chunks[chunk]!.digest.hex
      throw peerError({ code: 'content-corrupt', peer, digest })
    }
    progress.bytesFetched += (stored?.bytes ?? bytes).length
    progress.peers.add(peer)
    return { chunk, bytes, ...(stored && { stored }) }
  }

  /** Stores the rest; the request is over, so that what is wrong with it is told here. */
  async #storeLast(peer: string, store: () => Promise<void>): Promise<void> {
    try {
      await store()
    } catch (error) {
      this.#components.client.reportError(peer, error)
      throw error
    }
  }
}
