import { type Call, OVER } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { PeerError, peerError } from '../peer-error.ts'
import { decodeResponse, encodeRequest } from './exchange-codec.ts'
import { ChannelEnded, type FrameChannel } from './frame-channel.ts'
import type { Answer, Want } from './want.ts'

/** How long a request may go without any sign of life before its peer counts as stalled. */
export const STALL_MS = 4_000

/**
 * How many times as long it may where content has come by the channel: on a line that many share,
 * and where packets get lost, nothing comes for seconds, and to give up what is on its way would
 * make the line no emptier.
 */
export const BROUGHT_STALL_TIMES = 2

/** So much content is some, in bytes. */
export const BROUGHT_BYTES = 64 * 1024

/** Fewer bytes than these in that time are no sign of life either. */
const STALL_BYTES = 16 * 1024

/** No request takes longer than this, however alive its peer looks. */
export const REQUEST_MS_MAX = 120_000

/** How many bytes of answers may be on their way from one peer at once. */
export const IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024

/** Answers up to about this size do not wait behind large ones: someone waits for them. */
export const SMALL_ANSWER_BYTES = 64 * 1024

/** How many requests may be open on one channel; a server ends one that goes far beyond. */
export const OPEN_MAX = 128

/** How many cancelled requests may still be answered before the channel is given up. */
export const CANCELLED_MAX = 256

/** Answers that content comes in. */
const CONTENT: readonly Answer['type'][] = ['chunks', 'directories', 'layout']

/** What comes in answer to a want, apart from its end. */
export type AnswerItem = Exclude<Answer, { type: 'done' } | { type: 'refused' }>

/** A request to be made. */
export interface Ask {
  readonly want: Want
  /** About how many bytes the answer will have, for the cap on what is in flight. */
  readonly bytes: number
  /** It goes on until it is taken back, as long as the peer says something from time to time. */
  readonly lasts?: boolean
  /** How long its peer may say nothing, in ms; by default as long as for any request. */
  readonly silenceMs?: number
  /** Whether that it fails says nothing of the peer, unless the peer breaks the protocol. */
  readonly isOptional?: boolean
  /**
   * Takes each part of the answer. What it throws ends the request; the request is over only when
   * all that it returned has resolved.
   */
  readonly onAnswer: (answer: AnswerItem) => void | Promise<void>
}

/** When a peer last said something, and how many bytes the channel had brought by then. */
interface Sign {
  readonly atMs: number
  readonly bytes: number
}

interface OpenRequest {
  readonly ask: Ask
  readonly pending: Promise<void>[]
  readonly done: PromiseWithResolvers<void>
  readonly askedMs: number
  lastSign: Sign
}

/**
 * The asking side of one channel: many requests under way at once, their answers matched by id.
 * Garbage, and answers to what was not asked, end the channel.
 */
export class ExchangeSession {
  readonly peer: string
  /** Resolves when the channel is over, whatever the reason. */
  readonly ended: Promise<void>
  readonly #channel: FrameChannel
  readonly #clock: Clock
  readonly #firstStallMs: number
  readonly #inFlight = new Semaphore(IN_FLIGHT_BYTES_MAX)
  readonly #slots = new Semaphore(OPEN_MAX)
  readonly #open = new Map<number, OpenRequest>()
  readonly #cancelled = new Set<number>()
  #lastId = 0
  /** Content that the peer has brought, in bytes, answers about paths not counted. */
  #contentBytes = 0
  /** When it had last brought {@link STALL_BYTES} more of it. */
  #lastBrought: Sign = { atMs: 0, bytes: 0 }
  #failure: PeerError | undefined

  constructor(
    components: { peer: string; channel: FrameChannel; clock: Clock },
    init: { readonly stallMs?: number } = {},
  ) {
    this.peer = components.peer
    this.#channel = components.channel
    this.#clock = components.clock
    this.#firstStallMs = init.stallMs ?? STALL_MS
    this.ended = this.#channel
      .receive((frame) => this.#onFrame(frame))
      .then(
        () => this.close(),
        (cause) => this.#end(this.#translated(cause)),
      )
  }

  get isOver(): boolean {
    return this.#failure !== undefined
  }

  /**
   * Makes a request; resolves when it is answered whole.
   * @throws PeerError, or what `onAnswer` threw, or the signal's reason
   */
  async request(ask: Ask, call: Call): Promise<void> {
    const isSmall = ask.bytes <= SMALL_ANSWER_BYTES
    using _room = isSmall ? undefined : await this.#inFlight.acquire(ask.bytes, call)
    using _slot = await this.#slots.acquire(1, call)
    if (this.#failure !== undefined) throw this.#failure
    this.#lastId = (this.#lastId + 1) >>> 0 || 1
    const id = this.#lastId
    const done = Promise.withResolvers<void>()
    const lastSign = this.#sign()
    const request: OpenRequest = { ask, pending: [], done, askedMs: lastSign.atMs, lastSign }
    this.#open.set(id, request)
    const over = new AbortController()
    const onAbort = (): void => done.reject(call.signal.reason)
    call.signal.addEventListener('abort', onAbort, { once: true })
    if (call.signal.aborted) onAbort()
    this.#watch(id, request, over.signal)
    try {
      await Promise.race([this.#channel.send([encodeRequest(id, ask.want)]), done.promise])
      await done.promise
      await Promise.all(request.pending)
    } catch (error) {
      this.#cancel(id)
      await Promise.allSettled(request.pending)
      throw error
    } finally {
      over.abort(OVER)
      call.signal.removeEventListener('abort', onAbort)
      this.#open.delete(id)
    }
  }

  /**
   * For how long content has been waited for that was asked of the peer, while it brought none
   * worth speaking of, for this or another request, in ms; undefined where none is waited for.
   */
  get waitedMs(): number | undefined {
    let sinceMs: number | undefined
    for (const { ask, askedMs } of this.#open.values()) {
      if (ask.lasts === true || ask.want.type === 'path-infos') continue
      sinceMs = Math.min(sinceMs ?? askedMs, askedMs)
    }
    if (sinceMs === undefined) return undefined
    if (this.#channel.partialBytes >= STALL_BYTES) return 0
    return this.#clock.now() - Math.max(sinceMs, this.#lastBrought.atMs)
  }

  /** Ends the channel; requests under way throw. */
  close(): void {
    this.#channel.abort(new Error('the session is over'))
    this.#end(peerError({ code: 'unreachable', peer: this.peer }))
  }

  #onFrame(frame: Uint8Array): void {
    const { id, answer } = decodeResponse(frame)
    const request = this.#open.get(id)
    if (request === undefined) {
      this.#onLateAnswer(id, answer)
      return
    }
    request.lastSign = this.#sign()
    if (CONTENT.includes(answer.type)) this.#countContent(frame.length)
    if (answer.type === 'done') {
      request.done.resolve()
    } else if (answer.type === 'refused') {
      const { reason } = answer
      request.done.reject(peerError({ code: 'refused', peer: this.peer, reason }))
    } else {
      this.#take(request, answer)
    }
  }

  #countContent(bytes: number): void {
    this.#contentBytes += bytes
    if (this.#contentBytes - this.#lastBrought.bytes < STALL_BYTES) return
    this.#lastBrought = { atMs: this.#clock.now(), bytes: this.#contentBytes }
  }

  #take(request: OpenRequest, answer: AnswerItem): void {
    try {
      const handled = request.ask.onAnswer(answer)
      if (handled === undefined) return
      handled.catch((error) => request.done.reject(error))
      request.pending.push(handled)
    } catch (error) {
      request.done.reject(error)
    }
  }

  #onLateAnswer(id: number, answer: Answer): void {
    if (!this.#cancelled.has(id)) throw this.#broken('an answer to no request')
    if (answer.type === 'done' || answer.type === 'refused') this.#cancelled.delete(id)
  }

  #cancel(id: number): void {
    if (!this.#open.delete(id) || this.#failure !== undefined) return
    this.#cancelled.add(id)
    if (this.#cancelled.size > CANCELLED_MAX) {
      this.#channel.abort(new Error('too many requests were cancelled without an end'))
      return
    }
    // A channel that can not take it any more ends, and tells so by `receive`.
    this.#channel.send([encodeRequest(id, 'cancel')]).catch(() => undefined)
  }

  /** Ends the request when its peer shows no sign of life for too long, or takes far too long. */
  async #watch(id: number, request: OpenRequest, over: AbortSignal): Promise<void> {
    const begunMs = this.#clock.now()
    const silenceMs = (): number => request.ask.silenceMs ?? this.#stallMs
    let since = request.lastSign
    try {
      for (;;) {
        // From the last sign on: who looks at set times sees some silences late by as much again.
        const waitMs = Math.max(0, since.atMs + silenceMs() - this.#clock.now())
        await this.#clock.sleep(waitMs, { signal: over })
        const sign = this.#lastSignUpTo(id, request)
        const isTooLong =
          request.ask.lasts !== true && this.#clock.now() - begunMs >= REQUEST_MS_MAX
        if (isTooLong) break
        if (sign.atMs > since.atMs) {
          since = sign
          continue
        }
        // A long frame is no sign before it is whole.
        if (this.#channel.receivedBytes - since.bytes >= STALL_BYTES) since = this.#sign()
        else if (this.#clock.now() - since.atMs >= silenceMs()) break
      }
      request.done.reject(peerError({ code: 'stalled', peer: this.peer }))
    } catch {
      // the request is over
    }
  }

  /** Requests are answered about in order: a sign for an earlier one counts for the later. */
  #lastSignUpTo(id: number, request: OpenRequest): Sign {
    let last = request.lastSign
    for (const [other, { lastSign }] of this.#open) {
      if (other < id && lastSign.atMs > last.atMs) last = lastSign
    }
    return last
  }

  get #stallMs(): number {
    const times = this.#contentBytes < BROUGHT_BYTES ? 1 : BROUGHT_STALL_TIMES
    return times * this.#firstStallMs
  }

  #sign(): Sign {
    return { atMs: this.#clock.now(), bytes: this.#channel.receivedBytes }
  }

  #end(failure: PeerError): void {
    this.#failure ??= failure
    for (const request of this.#open.values()) request.done.reject(this.#failure)
  }

  #translated(cause: unknown): PeerError {
    if (cause instanceof PeerError) {
      this.#channel.abort(cause)
      return cause
    }
    if (cause instanceof ChannelEnded) {
      return peerError({ code: 'unreachable', peer: this.peer }, cause)
    }
    const failure = this.#broken(cause instanceof Error ? cause.message : String(cause))
    this.#channel.abort(failure)
    return failure
  }

  #broken(what: string): PeerError {
    return peerError({ code: 'protocol-broken', peer: this.peer, what })
  }
}
