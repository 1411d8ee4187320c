import type { Call } from '../../src/foundation/call.ts'
import { CHUNK_FRAME_BYTES } from '../../src/peers/exchange/chunk-serving.ts'
import { STALL_MS } from '../../src/peers/exchange/exchange-session.ts'
import { peerError } from '../../src/peers/peer-error.ts'
import type { FairLinks, Flow } from './fair-links.ts'
import type { SimNode } from './sim-node.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** About how many bytes of pieces go into one frame, as `exchange/chunk-serving.ts` has it. */

/** With so many bytes what has arrived is stored, as `swarm/piece-exchange.ts` has it. */
const PUT_BYTES = 1024 * 1024

/** Fewer bytes in {@link STALL_MS} are no sign of life, as `exchange/exchange-session.ts` has it. */
const STALL_BYTES = 16 * 1024

/** What all channels share. */
export interface ChannelWorld {
  readonly clock: VirtualClock
  readonly links: FairLinks
  readonly latencyMs: number
  readonly pieceBytes: number
  /** What goes over the wire for each byte of content: headers of all layers. */
  readonly overhead: number
  /** What a server takes to begin an answer, in milliseconds. */
  readonly requestMs: number
}

interface Request {
  readonly id: number
  readonly wanted: number[]
  readonly events: { onHere: (piece: number) => void; onLacking: (piece: number) => void }
  readonly done: PromiseWithResolvers<void>
  /** What has come, and is not stored yet. */
  readonly arrived: number[]
  lastSignMs: number
  isOver: boolean
}

/**
 * One node's channel to another, and what that one sends on it: a frame at a time, answer after
 * answer, as the exchange server does. News of what is there goes beside it.
 */
export class SimChannel {
  readonly client: SimNode
  readonly server: SimNode
  readonly #world: ChannelWorld
  readonly #open = new Map<number, Request>()
  readonly #queue: Request[] = []
  readonly #watches = new Set<AbortController>()
  readonly #waiting = {
    again: () => this.#pump(),
    next: () => this.#queue.find((it) => !it.isOver)?.wanted[0],
  }
  #flow: Flow | undefined
  #sentBytes = 0
  #lastId = 0
  #failure: unknown

  constructor(world: ChannelWorld, ends: { readonly client: SimNode; readonly server: SimNode }) {
    this.#world = world
    this.client = ends.client
    this.server = ends.server
  }

  get isOver(): boolean {
    return this.#failure !== undefined
  }

  /** Ends it with all that goes on over it. */
  close(): void {
    if (this.#failure !== undefined) return
    this.#failure = peerError({ code: 'unreachable', peer: this.server.id })
    if (this.#flow !== undefined) {
      this.#endFlow(this.#flow)
      this.server.slots.release()
    }
    for (const request of [...this.#open.values()]) request.done.reject(this.#failure)
    for (const watch of this.#watches) watch.abort(this.#failure)
  }

  /** Asks for pieces; resolves when all has been answered. @throws PeerError */
  async ask(pieces: readonly number[], events: Request['events'], call: Call): Promise<void> {
    const { clock, latencyMs, requestMs } = this.#world
    const request: Request = {
      id: ++this.#lastId,
      wanted: [...pieces],
      events,
      done: Promise.withResolvers<void>(),
      arrived: [],
      lastSignMs: clock.now(),
      isOver: false,
    }
    this.#open.set(request.id, request)
    const sending = clock.in(latencyMs + requestMs, () => this.#serve(request))
    const onAbort = (): void => request.done.reject(call.signal.reason)
    call.signal.addEventListener('abort', onAbort)
    const watch = this.#watchStall(request)
    try {
      await request.done.promise
    } finally {
      call.signal.removeEventListener('abort', onAbort)
      clock.cancel(sending)
      watch()
      request.isOver = true
      this.#open.delete(request.id)
      this.#store(request)
    }
  }

  /** Tells of what the server has, as long as it is of use. @throws PeerError */
  async watch(pieces: Uint8Array, onNews: SimNode['take'], call: Call): Promise<void> {
    const { clock, latencyMs } = this.#world
    const over = new AbortController()
    this.#watches.add(over)
    const inner = { signal: AbortSignal.any([call.signal, over.signal]) }
    try {
      await clock.sleep(latencyMs, inner)
      if (this.server.kind === 'black-hole') {
        await clock.sleep(STALL_MS, inner)
        throw peerError({ code: 'stalled', peer: this.server.id })
      }
      for await (const news of this.server.tell(this.client.id, pieces, inner)) {
        inner.signal.throwIfAborted()
        clock.in(latencyMs, () => {
          if (!inner.signal.aborted) onNews(this.server.id, news)
        })
      }
      await clock.sleep(latencyMs, inner)
    } finally {
      this.#watches.delete(over)
    }
  }

  #serve(request: Request): void {
    const { server } = this
    if (server.kind === 'black-hole' || this.isOver) return
    const lacking = request.wanted.filter((piece) => !server.gives(piece))
    request.wanted.splice(0, Infinity, ...request.wanted.filter((piece) => server.gives(piece)))
    if (lacking.length > 0) {
      this.#world.clock.in(this.#world.latencyMs, () => {
        if (!request.isOver) for (const piece of lacking) request.events.onLacking(piece)
      })
    }
    this.#queue.push(request)
    this.#pump()
  }

  /** Sends the next frame where none is being sent. */
  readonly #pump = (): void => {
    const request = this.#queue[0]
    if (this.#flow !== undefined || request === undefined || this.isOver) return
    if (request.isOver || request.wanted.length === 0) {
      this.#queue.shift()
      if (!request.isOver) this.#deliver(request, [])
      this.#pump()
      return
    }
    const { links, pieceBytes, overhead } = this.#world
    const frame = request.wanted.slice(0, Math.max(1, Math.floor(CHUNK_FRAME_BYTES / pieceBytes)))
    if (!this.server.slots.take(frame, this.#waiting)) return
    request.wanted.splice(0, frame.length)
    const bytes = frame.length * pieceBytes * overhead
    const flow = links.begin(this.server.number, this.client.number, bytes, () => {
      this.#endFlow(flow)
      this.#deliver(request, frame)
      this.#pump()
      this.server.slots.release()
    })
    this.#flow = flow
  }

  #endFlow(flow: Flow): void {
    this.#world.links.end(flow)
    const bytes = this.#world.links.arrivedBytes(flow)
    this.#sentBytes += bytes
    this.server.counts.sentBytes += bytes
    this.client.counts.receivedBytes += bytes
    this.#flow = undefined
  }

  #deliver(request: Request, frame: readonly number[]): void {
    const isLast = request.wanted.length === 0
    this.#world.clock.in(this.#world.latencyMs, () => {
      if (request.isOver) return
      request.lastSignMs = this.#world.clock.now()
      if (frame.length > 0 && this.server.kind === 'liar') {
        this.client.liedTo.add(this.server.id)
        const digest = `piece ${frame[0]}`
        const fault = { code: 'content-corrupt', peer: this.server.id, digest } as const
        request.done.reject(peerError(fault))
        return
      }
      request.arrived.push(...frame)
      if (request.arrived.length * this.#world.pieceBytes >= PUT_BYTES) this.#store(request)
      if (isLast) request.done.resolve()
    })
  }

  /** What has come is stored also where its request was taken back. */
  #store(request: Request): void {
    const pieces = request.arrived.splice(0)
    for (const piece of pieces) this.client.store(piece)
    for (const piece of pieces) request.events.onHere(piece)
  }

  /** Ends a request that shows no sign of life, as `exchange/exchange-session.ts` does. */
  #watchStall(request: Request): () => void {
    const { clock } = this.#world
    let before = this.#arrivedBytes()
    const look = (): void => {
      const bytes = this.#arrivedBytes()
      const trickled = bytes - before < STALL_BYTES
      before = bytes
      let signMs = request.lastSignMs
      for (const [id, { lastSignMs }] of this.#open) {
        if (id < request.id) signMs = Math.max(signMs, lastSignMs)
      }
      if (trickled && clock.now() - signMs >= STALL_MS) {
        request.done.reject(peerError({ code: 'stalled', peer: this.server.id }))
      } else {
        clock.move(event, STALL_MS)
      }
    }
    const event = clock.in(STALL_MS, look)
    return () => clock.cancel(event)
  }

  #arrivedBytes(): number {
    const flow = this.#flow
    return this.#sentBytes + (flow === undefined ? 0 : this.#world.links.arrivedBytes(flow))
  }
}
