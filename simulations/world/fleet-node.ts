import type { Castore } from '../../src/castore/castore.ts'
import type { Call } from '../../src/foundation/call.ts'
import type { Digest } from '../../src/foundation/digest.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { type Random, seededRandom } from '../../src/foundation/random.ts'
import { Semaphore } from '../../src/foundation/semaphore.ts'
import { unlessAborted } from '../../src/foundation/single-flight.ts'
import { OWNER_ACCESS, type ReadAccess } from '../../src/pathinfo/read-access.ts'
import { CHUNK_FRAME_BYTES, SENDING_SLOTS } from '../../src/peers/exchange/chunk-serving.ts'
import type { Ask } from '../../src/peers/exchange/exchange-session.ts'
import { serveSwarm } from '../../src/peers/exchange/swarm-serving.ts'
import type { ChunkAnswer } from '../../src/peers/exchange/want.ts'
import { peerError } from '../../src/peers/peer-error.ts'
import { SharedPulls } from '../../src/peers/pulls/shared-pulls.ts'
import { PeerLedger } from '../../src/peers/standing/peer-ledger.ts'
import { Swarms } from '../../src/peers/swarm/swarms.ts'
import { FetchOrder } from '../../src/substitution/fetch-order.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import type { Pull } from '../../src/substitution/pull-sharing.ts'
import type { FleetPath, FleetWorld } from './fleet-world.ts'

/** What all chunks are made of: nobody looks at their bytes. */
const BYTES = new Uint8Array(4 * 1024 * 1024)

/**
 * A node of a fleet: who pulls, and what follows a pull, is decided by the code that production
 * runs; the lines, the stores and the cache are simulated.
 */
export class FleetNode {
  readonly id: string
  readonly number: number
  readonly counts = { givenBytes: 0, lateBytes: 0 }
  readonly ledger: PeerLedger
  readonly swarms: Swarms
  readonly pulls: SharedPulls
  isOnline = true
  readonly #world: FleetWorld
  readonly #random: Random
  readonly #life = new AbortController()
  /** Chunks that are stored here, with their lengths, and those of paths that are here whole. */
  readonly #held = new Map<string, number>()
  readonly #shared = new Set<string>()
  readonly #complete = new Set<FleetPath>()
  readonly #slots = new Semaphore(SENDING_SLOTS)
  /** What is sent to each other node, one answer after another. */
  readonly #sending = new Map<string, Semaphore>()

  constructor(world: FleetWorld, number: number) {
    const { clock, options } = world
    this.#world = world
    this.number = number
    this.id = `node-${number}`
    this.#random = seededRandom(options.seed * 1_000_003 + number)
    this.ledger = new PeerLedger({ clock })
    const access: ReadAccess = {
      ...OWNER_ACCESS,
      shares: () => options.shares,
      reachesBlob: (digest) => this.#shared.has(digest.hex),
    }
    this.swarms = new Swarms({ clock, access })
    this.pulls = new SharedPulls({
      ...{ access, clock, ledger: this.ledger, log: silentLog, random: this.#random },
      ...{ self: this.id, swarms: this.swarms },
      network: { connected: () => this.#connected(), onConnect: () => undefined },
      client: {
        ask: (peer, ask, call) => this.#ask(peer, ask, call),
        reportError: () => undefined,
      },
    })
  }

  /** Gets all paths, some of them at a time, in an order of its own. */
  async wantAll(): Promise<void> {
    const call = { signal: this.#life.signal }
    const waiting = new FetchOrder<FleetPath>({ random: this.#random })
    for (const path of this.#world.paths) waiting.add(path, path.facts.narSize)
    const work = async (): Promise<void> => {
      for (let path = waiting.take(); path !== undefined; path = waiting.take()) {
        await this.#want(path, call)
      }
    }
    await Promise.all(Array.from({ length: this.#world.options.atOnce }, work))
  }

  die(): void {
    this.isOnline = false
    this.stop()
  }

  stop(): void {
    this.#life.abort(new Error('the process died'))
    this.pulls.stop()
    this.swarms.stop()
  }

  has(path: FleetPath): boolean {
    return this.isOnline && this.#complete.has(path)
  }

  async #want(path: FleetPath, call: Call): Promise<void> {
    const progress = new FetchProgress()
    while (!this.#complete.has(path)) {
      using pull = await this.pulls.turn(path.facts, this.#castore, progress, call)
      if (pull === undefined) await this.#fetchRest(path, call)
      else await this.#pull(path, pull, progress, call)
    }
  }

  async #pull(path: FleetPath, pull: Pull, progress: FetchProgress, call: Call): Promise<void> {
    const { links, clock, options } = this.#world
    this.#world.pulls(this)
    await clock.sleep(2 * options.latencyMs, call)
    for (const chunk of path.chunks) {
      if (pull.lost.aborted) return
      await this.#carry((onEnd) => links.begin(0, this.number, chunk.size, onEnd), call)
      this.#world.cacheBytes += chunk.size
      progress.bytesFetched += chunk.size
      this.#held.set(chunk.digest.hex, chunk.size)
      pull.stored(chunk)
    }
    this.#completed(path)
    pull.complete()
  }

  /** What is missing of a path that others have, from one of them. */
  async #fetchRest(path: FleetPath, call: Call): Promise<void> {
    const holders = this.#world.nodes.filter((node) => node !== this && node.has(path))
    if (holders.length === 0) return
    const holder = holders[this.#random.integer(holders.length)]!
    const missing = path.chunks.filter(({ digest }) => !this.#held.has(digest.hex))
    const digests = missing.map(({ digest }) => digest)
    for (const { size } of missing) this.counts.lateBytes += size
    const want = { type: 'chunks', digests, packed: true } as const
    const ask: Ask = { want, bytes: 0, onAnswer: () => undefined }
    try {
      if (missing.length > 0) await this.#ask(holder.id, ask, call)
    } catch (error) {
      if (holder.isOnline) throw error
      return // it died meanwhile: somebody else is asked, or the cache
    }
    for (const { digest, size } of missing) this.#held.set(digest.hex, size)
    this.#completed(path)
  }

  #completed(path: FleetPath): void {
    this.#complete.add(path)
    for (const { digest } of path.chunks) this.#shared.add(digest.hex)
  }

  #connected() {
    return this.#world.nodes
      .filter((node) => node !== this && node.isOnline)
      .map(({ id }) => ({ id, address: '', latencyMs: undefined }))
  }

  async #ask(peer: string, { want, onAnswer }: Ask, call: Call): Promise<void> {
    const { clock, options } = this.#world
    const server = this.#world.nodeOf(peer)
    const signal = AbortSignal.any([call.signal, server.#life.signal])
    const inner = { signal }
    const tell = (answer: Parameters<typeof onAnswer>[0]): void => {
      clock.in(options.latencyMs, () => {
        if (!signal.aborted) void onAnswer(answer)
      })
    }
    try {
      await clock.sleep(options.latencyMs, inner)
      if (want.type === 'chunks') {
        await server.#serve(this, want.digests, (chunks) => tell({ type: 'chunks', chunks }), inner)
      } else if (want.type === 'swarm') {
        const send = async (answer: Parameters<Parameters<typeof serveSwarm>[3]>[0]) =>
          tell(answer as Parameters<typeof onAnswer>[0])
        await serveSwarm(want, this.id, { swarms: server.swarms, shared: NOTHING }, send, inner)
      } else if (want.type === 'pull') {
        let isTold = false
        for await (const news of server.pulls.watch(this.id, want.name, inner)) {
          isTold = true
          tell({ type: 'pull', news })
        }
        if (!isTold) tell({ type: 'absent', indices: [0] })
      }
      await clock.sleep(options.latencyMs, inner)
    } catch (error) {
      if (!server.isOnline) throw peerError({ code: 'unreachable', peer })
      throw error
    }
  }

  async #serve(
    client: FleetNode,
    digests: readonly Digest[],
    tell: (chunks: readonly ChunkAnswer[]) => void,
    call: Call,
  ): Promise<void> {
    const { clock, options, links } = this.#world
    await clock.sleep(options.requestMs, call)
    const turns = this.#sending.get(client.id) ?? new Semaphore(1)
    this.#sending.set(client.id, turns)
    using _turn = await turns.acquire(1, call)
    const found = digests.flatMap((digest, index) => {
      const isGiven = this.swarms.reachesBlob(digest) || this.#shared.has(digest.hex)
      const size = isGiven ? this.#held.get(digest.hex) : undefined
      return size === undefined ? [] : [{ index, data: BYTES.subarray(0, size) }]
    })
    while (found.length > 0) {
      const frame = found.splice(0, Math.max(1, Math.floor(CHUNK_FRAME_BYTES / options.chunkBytes)))
      const bytes = frame.reduce((sum, { data }) => sum + data.length, 0)
      using _slot = await this.#slots.acquire(1, call)
      const wire = bytes * options.overhead
      await this.#carry((onEnd) => links.begin(this.number, client.number, wire, onEnd), call)
      this.counts.givenBytes += bytes
      tell(frame)
    }
  }

  async #carry(
    begin: (onEnd: () => void) => ReturnType<FleetWorld['links']['begin']>,
    { signal }: Call,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const flow = begin(resolve)
    try {
      await unlessAborted(promise, signal)
    } finally {
      this.#world.links.end(flow)
    }
  }

  /** Only what fetching from a pull needs. */
  get #castore(): Castore {
    const blobs = {
      chunkSizes: async (digests: readonly Digest[]) =>
        digests.map(({ hex }) => this.#held.get(hex)),
      putChunks: async (chunks: readonly { digest: Digest; bytes: Uint8Array }[]) => {
        for (const { digest, bytes } of chunks) this.#held.set(digest.hex, bytes.length)
      },
    }
    return { blobs } as unknown as Castore
  }
}

/** No root that others ask for is here: paths that are whole are fetched in another way. */
const NOTHING = {
  directories: { get: async () => undefined },
  blobs: { layouts: async () => [undefined] },
} as unknown as Castore
