import type { ReadableCastore } from '../../castore/castore.ts'
import type { Directory } from '../../castore/model/directory.ts'
import { type Call, unhurriedCall } from '../../foundation/call.ts'
import { type Clock, withDeadline } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { Log } from '../../foundation/log.ts'
import type { RateLimit } from '../../foundation/rate-limit.ts'
import { Semaphore } from '../../foundation/semaphore.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import type { PathInfoSource } from '../../pathinfo/path-info-store.ts'
import type { ReadAccess } from '../../pathinfo/read-access.ts'
import { SharedCastore } from '../../pathinfo/shared-castore.ts'
import { peerError } from '../peer-error.ts'
import { ChunkServing } from './chunk-serving.ts'
import { decodeRequest, encodeResponse, type IncomingRequest } from './exchange-codec.ts'
import { type FilterSource, NO_FILTERS } from './filter-source.ts'
import { type FrameChannel, REQUEST_FRAME_BYTES_MAX } from './frame-channel.ts'
import { FrameError } from './frame-error.ts'
import { OutboardServing, SERVING_OUTBOARD_BYTES_MAX } from './outboard-serving.ts'
import { NO_PULLS, PULL_WATCHES_MAX, type PullSource } from './pull-source.ts'
import { type SwarmSource, serveSwarm, WATCHES_MAX } from './swarm-serving.ts'
import type { Answer, Want } from './want.ts'

/** How many requests of one channel may be under way or wait; one more ends the channel. */
export const REQUESTS_MAX = 256

/**
 * How many requests for chunks are read for at once for one channel: the next one while the answer
 * to another is sent. They are sent one after the other, so that chunks come in the order asked.
 */
const BULK_READING_MAX = 2

/** How long a peer may take to make room for the next frame of what it asked for. */
export const TAKE_MS = 30_000

/** How long the rest of a frame may keep a channel waiting. */
export const PARTIAL_FRAME_MS = 30_000

/** About how many bytes of Directories go into one frame. */
const DIRECTORY_FRAME_BYTES = 256 * 1024

/** What the server answers from: local stores only, so that asking makes nobody ask on. */
export interface ExchangeServerComponents {
  readonly castore: ReadableCastore
  readonly pathInfos: PathInfoSource
  /** What peers may read; to them all else is absent. */
  readonly access: ReadAccess
  /** What is being fetched. */
  readonly swarms: SwarmSource
  /** Which paths are shared; nobody is told where it is left out. */
  readonly filters?: FilterSource
  /** What is pulled from caches; nobody is told where it is left out. */
  readonly pulls?: PullSource
  /** How fast chunks may be sent to all peers together; without end where it is left out. */
  readonly uploads?: RateLimit | undefined
  readonly clock: Clock
  /** Where a peer that breaks the protocol is told of. */
  readonly offences: { reportError(peer: string, error: unknown): void }
  readonly log: Log
}

const noHurry = unhurriedCall()

interface ServedChannel {
  readonly peer: string
  readonly channel: FrameChannel
  readonly bulkReading: Semaphore
  readonly bulkSending: Semaphore
  /** One frame at a time waits for the peer to take it. */
  readonly sending: Semaphore
  readonly requests: Map<number, AbortController>
  /** How many swarms it watches. */
  watches: number
  /** How many pulls it watches. */
  pulls: number
  /** Whether it is told which paths are shared. */
  hasFilter: boolean
}

/** Answers what peers ask, from what this node holds and shares. */
export class ExchangeServer {
  readonly #components: ExchangeServerComponents
  readonly #shared: SharedCastore
  readonly #chunks: ChunkServing
  readonly #outboardRoom = new Semaphore(SERVING_OUTBOARD_BYTES_MAX)

  constructor(components: ExchangeServerComponents) {
    this.#components = components
    this.#shared = new SharedCastore(components)
    this.#chunks = new ChunkServing({ ...components, blobs: this.#shared.blobs })
  }

  /** Content bytes sent to peers so far. */
  get bytesServed(): number {
    return this.#chunks.bytesServed
  }

  /** Serves one channel until it ends. Never throws: what is wrong with a channel ends it. */
  async serve(peer: string, channel: FrameChannel): Promise<void> {
    const served: ServedChannel = {
      peer,
      channel,
      bulkReading: new Semaphore(BULK_READING_MAX),
      bulkSending: new Semaphore(1),
      sending: new Semaphore(1),
      requests: new Map(),
      watches: 0,
      pulls: 0,
      hasFilter: false,
    }
    const over = new AbortController()
    void this.#watchFrames(channel, over)
    try {
      await channel.receive((frame) => this.#onFrame(peer, served, frame), REQUEST_FRAME_BYTES_MAX)
      channel.abort(new Error('the other side has ended the channel'))
    } catch (error) {
      this.#components.log.debug('channel ended', { peer, error })
      channel.abort(error instanceof Error ? error : new Error('the channel broke'))
      if (error instanceof FrameError) {
        const fault = { code: 'protocol-broken', peer, what: error.message } as const
        this.#components.offences.reportError(peer, peerError(fault, error))
      }
    } finally {
      over.abort()
      for (const request of served.requests.values()) request.abort(new Error('the channel ended'))
    }
  }

  /** Ends a channel on which the rest of a frame does not come. */
  async #watchFrames(channel: FrameChannel, over: AbortController): Promise<void> {
    let before = 0
    while (!over.signal.aborted) {
      // A sleep that is cut short means that the channel is over.
      await this.#components.clock.sleep(PARTIAL_FRAME_MS, over).catch(() => undefined)
      const { receivedBytes, partialBytes } = channel
      if (partialBytes > 0 && receivedBytes === before) {
        channel.abort(new Error('the rest of a frame did not come'))
        return
      }
      before = receivedBytes
    }
  }

  #onFrame(peer: string, served: ServedChannel, frame: Uint8Array): void {
    const request = decodeRequest(frame)
    if (request.want === 'cancel') {
      served.requests.get(request.id)?.abort(new Error('taken back'))
      return
    }
    if (served.requests.has(request.id)) throw outOfTurn('a request id is used twice')
    if (served.requests.size >= REQUESTS_MAX) throw outOfTurn('too many requests at once')
    const abort = new AbortController()
    served.requests.set(request.id, abort)
    this.#answer(served, request, { signal: abort.signal })
      .catch((error) => this.#components.log.debug('answer failed', { peer, error }))
      .finally(() => served.requests.delete(request.id))
  }

  async #answer(served: ServedChannel, request: IncomingRequest, call: Call): Promise<void> {
    const { id, want } = request
    if (want === 'cancel') return
    const send = (answer: Answer): Promise<void> => {
      call.signal.throwIfAborted()
      return this.#send(served, id, answer)
    }
    if (want === 'unknown') return await send({ type: 'refused', reason: 'not understood' })
    try {
      await this.#serve(want, send, served, call)
    } catch (error) {
      const reason = call.signal.aborted ? 'taken back' : 'it could not be read'
      await this.#send(served, id, { type: 'refused', reason })
      if (!call.signal.aborted) throw error
      return
    }
    await this.#send(served, id, { type: 'done' })
  }

  /** Sends a frame; a peer that does not take it in time loses its channel. */
  async #send(served: ServedChannel, id: number, answer: Answer): Promise<void> {
    const { channel, sending } = served
    using _turn = await sending.acquire(1, noHurry)
    const sent = channel.send(encodeResponse(id, answer))
    try {
      await withDeadline(this.#components.clock, TAKE_MS, 'taking an answer', noHurry, (timed) =>
        unlessAborted(sent, timed.signal),
      )
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error('it could not be sent'))
      throw error
    }
  }

  async #serve(
    want: Want,
    send: (answer: Answer) => Promise<void>,
    served: ServedChannel,
    call: Call,
  ): Promise<void> {
    switch (want.type) {
      case 'path-infos':
        return await this.#servePathInfos(want.hashes, send, call)
      case 'closure':
        return await this.#serveDirectories(this.#shared.directories.closure(want.root, call), send)
      case 'directories':
        return await this.#serveDirectories(this.#found(want.digests, call), send)
      case 'layouts':
        return await this.#serveLayouts(want, send, call)
      case 'chunks': {
        using _turn = await served.bulkReading.acquire(1, call)
        return await this.#chunks.serve(want, served.bulkSending, send, call)
      }
      case 'swarm':
        return await this.#serveSwarm(want, send, served, call)
      case 'filter':
        return await this.#serveFilter(want.key, send, served, call)
      case 'pull':
        return await this.#servePull(want.name, send, served, call)
    }
  }

  async #servePull(
    name: Digest,
    send: (answer: Answer) => Promise<void>,
    served: ServedChannel,
    call: Call,
  ): Promise<void> {
    const { pulls = NO_PULLS } = this.#components
    if (served.pulls >= PULL_WATCHES_MAX) return await send({ type: 'absent', indices: [0] })
    let isTold = false
    served.pulls++
    try {
      for await (const news of pulls.watch(served.peer, name, call)) {
        isTold = true
        await send({ type: 'pull', news })
      }
    } finally {
      served.pulls--
    }
    if (!isTold) await send({ type: 'absent', indices: [0] })
  }

  async #serveSwarm(
    want: Extract<Want, { type: 'swarm' }>,
    send: (answer: Answer) => Promise<void>,
    served: ServedChannel,
    call: Call,
  ): Promise<void> {
    if (served.watches >= WATCHES_MAX) return await send({ type: 'absent', indices: [0] })
    served.watches++
    try {
      const { swarms } = this.#components
      await serveSwarm(want, served.peer, { swarms, shared: this.#shared }, send, call)
    } finally {
      served.watches--
    }
  }

  async #serveFilter(
    key: Uint8Array,
    send: (answer: Answer) => Promise<void>,
    served: ServedChannel,
    call: Call,
  ): Promise<void> {
    const { filters = NO_FILTERS } = this.#components
    let isTold = false
    if (!served.hasFilter) {
      served.hasFilter = true
      try {
        for await (const news of filters.watch(served.peer, key, call)) {
          isTold = true
          await send({ type: 'filter', news })
        }
      } finally {
        served.hasFilter = false
      }
    }
    if (!isTold) await send({ type: 'absent', indices: [0] })
  }

  async #servePathInfos(
    hashes: readonly Uint8Array[],
    send: (answer: Answer) => Promise<void>,
    call: Call,
  ): Promise<void> {
    const { pathInfos, access } = this.#components
    const absent: number[] = []
    for (const [index, hash] of hashes.entries()) {
      const pathInfo = await pathInfos.get(hash, call)
      const isTold = pathInfo !== undefined && (await access.tells(pathInfo, call))
      if (isTold) await send({ type: 'path-info', index, pathInfo })
      else absent.push(index)
    }
    if (absent.length > 0) await send({ type: 'absent', indices: absent })
  }

  async *#found(digests: readonly Digest[], call: Call): AsyncGenerator<Directory> {
    for (const digest of digests) {
      const directory = await this.#shared.directories.get(digest, call)
      if (directory !== undefined) yield directory
    }
  }

  async #serveDirectories(
    directories: AsyncIterable<Directory>,
    send: (answer: Answer) => Promise<void>,
  ): Promise<void> {
    let encoded: Uint8Array[] = []
    let bytes = 0
    let any = false
    for await (const directory of directories) {
      any = true
      encoded.push(directory.encoded)
      bytes += directory.encoded.length
      if (bytes < DIRECTORY_FRAME_BYTES) continue
      await send({ type: 'directories', encoded })
      encoded = []
      bytes = 0
    }
    if (encoded.length > 0) await send({ type: 'directories', encoded })
    if (!any) await send({ type: 'absent', indices: [0] })
  }

  async #serveLayouts(
    { digests, outboards }: Extract<Want, { type: 'layouts' }>,
    send: (answer: Answer) => Promise<void>,
    call: Call,
  ): Promise<void> {
    const { blobs } = this.#shared
    const layouts = await blobs.layouts(digests, call)
    const { clock } = this.#components
    const serving = new OutboardServing({ blobs, clock, room: this.#outboardRoom })
    const absent: number[] = []
    for (const [index, layout] of layouts.entries()) {
      if (layout === undefined) {
        absent.push(index)
      } else if (outboards === true) {
        using outboard = await serving.lend(digests[index]!, layout, call)
        const { bytes } = outboard
        await send({ type: 'layout', index, layout, ...(bytes && { outboard: bytes }) })
      } else {
        await send({ type: 'layout', index, layout })
      }
    }
    if (absent.length > 0) await send({ type: 'absent', indices: absent })
  }
}

function outOfTurn(what: string): FrameError {
  return new FrameError({ code: 'out-of-turn' }, what)
}
