import type { GivenChunk } from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import { Digest } from '../../foundation/digest.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { WANTS_MAX } from '../exchange/want.ts'
import { PeerError, peerError } from '../peer-error.ts'
import { BlobAssembly, EARLY_BYTES_MAX } from './blob-assembly.ts'
import { ChunkQueue, SECOND_ASK_MS, type WantedChunk } from './chunk-queue.ts'
import type {
  ContentFetchComponents,
  SourcedLayout,
  WantedBlob,
} from './content-fetch-components.ts'
import type { HolderSet } from './holder-set.ts'
import { type ArrivedChunk, unpackChunks } from './unpack-chunks.ts'

/** How many requests are under way with one holder, so that it never waits for the next. */
const LANES_PER_HOLDER = 4

/** How much one request asks for. */
const PORTION = { bytesMax: 2 * 1024 * 1024, chunksMax: WANTS_MAX }

/** With so many bytes, what has arrived is stored; sooner where the request ends. */
const PUT_BYTES = 1024 * 1024

/**
 * How often those who failed but had delivered are tried again when nobody else is left. On a busy
 * machine an honest peer may seem to stall.
 */
export const SECOND_CHANCES_MAX = 3

/** How many chunks are looked up in the local store at once. */
const LOOKUP_CHUNKS = 1024

/** Chunks that have arrived, and are to be stored. */
interface Arrivals {
  readonly chunks: ({ readonly chunk: WantedChunk } & Omit<GivenChunk, 'digest'>)[]
  bytes: number
}

/** What came of a fetch. */
export interface ChunkFetchOutcome {
  /** Layouts that turned out to be lies. */
  readonly falsehoods: readonly SourcedLayout[]
  /** Layouts that name chunks that nobody who is left has: wrong perhaps, or just unlucky. */
  readonly stuck: readonly SourcedLayout[]
  /** The last failure of a holder, for saying why. */
  readonly failure: unknown
}

interface Use {
  readonly assembly: BlobAssembly
  readonly index: number
}

/** Fetches the chunks of blobs from all holders at once and puts the blobs together. */
export class ChunkFetch {
  readonly #components: ContentFetchComponents
  readonly #holders: HolderSet
  readonly #progress: FetchProgress
  readonly #queue = new ChunkQueue()
  readonly #uses = new Map<string, Use[]>()
  readonly #singles = new Map<string, WantedBlob>()
  /** Where the layout of each assembly that is not at its end comes from. */
  readonly #sources = new Map<BlobAssembly, SourcedLayout>()
  readonly #falsehoods = new Set<SourcedLayout>()
  readonly #out = new Set<string>()
  /** Who has delivered since its last chance. */
  readonly #delivered = new Set<string>()
  readonly #earlyRoom = { bytes: EARLY_BYTES_MAX }
  readonly #over = new AbortController()
  #lanes = 0
  #secondChances = 0
  #finishing = 0
  #changed = Promise.withResolvers<void>()
  #lastFailure: unknown

  constructor(
    components: ContentFetchComponents,
    init: { holders: HolderSet; progress: FetchProgress },
  ) {
    this.#components = components
    this.#holders = init.holders
    this.#progress = init.progress
  }

  /**
   * Resolves when every blob is in the store, but for those that their layouts did not lead to.
   * @throws PeerError 'no-holder' where nobody who is left has a blob of one chunk
   */
  async run(layouts: readonly SourcedLayout[], call: Call): Promise<ChunkFetchOutcome> {
    const whole: BlobAssembly[] = []
    for (const sourced of layouts) this.#plan(sourced)
    await this.#takeHeld(whole, call)
    for (const assembly of whole) await this.#finish(assembly, call)
    const inner = narrowedCall(call, this.#over.signal)
    using _listening = this.#holders.onAdd((peer) => this.#open(peer, inner))
    for (const peer of this.#holders) this.#open(peer, inner)
    try {
      await this.#untilDone(call, inner)
    } finally {
      this.#over.abort(new Error('the fetch is over'))
      while (this.#lanes > 0) await this.#changed.promise
    }
    // What their chunks were counted for has not come about.
    for (const { bytesHere } of this.#sources.keys()) this.#progress.bytesDone -= bytesHere
    const failure = this.#lastFailure
    return { falsehoods: [...this.#falsehoods], stuck: this.#stuck(), failure }
  }

  #plan(sourced: SourcedLayout): void {
    const { blob, layout, outboard } = sourced
    if (layout.length === 0) {
      this.#countBlob(blob) // the empty blob needs nothing
    } else if (layout.length === 1) {
      this.#singles.set(blob.digest.hex, blob)
    } else {
      const assembly = new BlobAssembly(blob.digest, layout, this.#earlyRoom, outboard)
      this.#sources.set(assembly, sourced)
      for (const [index, chunk] of layout.entries()) {
        const uses = this.#uses.get(chunk.digest.hex)
        if (uses === undefined) this.#uses.set(chunk.digest.hex, [{ assembly, index }])
        else uses.push({ assembly, index })
      }
    }
  }

  /** Chunks that are held already are not fetched; the others are queued in order. */
  async #takeHeld(whole: BlobAssembly[], call: Call): Promise<void> {
    const chunks = new Map<string, WantedChunk>()
    for (const [hex, blob] of this.#singles) chunks.set(hex, blob)
    for (const [hex, uses] of this.#uses) {
      const { assembly, index } = uses[0]!
      chunks.set(hex, assembly.layout[index]!)
    }
    const wanted = [...chunks.values()]
    for (let i = 0; i < wanted.length; i += LOOKUP_CHUNKS) {
      const batch = wanted.slice(i, i + LOOKUP_CHUNKS)
      const digests = batch.map((chunk) => chunk.digest)
      const sizes = await this.#components.castore.blobs.chunkSizes(digests, call)
      for (const [at, chunk] of batch.entries()) {
        if (sizes[at] === undefined) this.#queue.add(chunk)
        else whole.push(...this.#arrived(chunk, sizes[at]))
      }
    }
  }

  #open(peer: string, call: Call): void {
    if (this.#components.ledger.standing(peer) === 'banned') return
    for (let lane = 0; lane < LANES_PER_HOLDER; lane++) {
      this.#lanes++
      this.#runLane(peer, call).finally(() => {
        this.#lanes--
        this.#change()
      })
    }
  }

  async #runLane(peer: string, call: Call): Promise<void> {
    const { clock } = this.#components
    while (!call.signal.aborted && !this.#out.has(peer) && this.#queue.size > 0) {
      const chunks = this.#queue.take(peer, PORTION, clock.now())
      try {
        if (chunks.length > 0) await this.#askFor(peer, chunks, call)
        else if (this.#queue.mayServe(peer)) await this.#untilChange(call)
        else return
      } catch (error) {
        if (call.signal.aborted) return
        if (!(error instanceof PeerError)) return this.#fail(error)
        this.#lastFailure = error
        this.#out.add(peer)
      } finally {
        this.#queue.giveBack(peer, chunks)
        // Only what changed something is told: idle lanes would keep each other awake.
        if (chunks.length > 0) this.#change()
      }
    }
  }

  async #askFor(peer: string, chunks: readonly WantedChunk[], call: Call): Promise<void> {
    const digests = chunks.map((chunk) => chunk.digest)
    const want = { type: 'chunks', digests, packed: true } as const
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.size, 0)
    const arrivals: Arrivals = { chunks: [], bytes: 0 }
    const unanswered = new Set(chunks.keys())
    const named = (index: number): WantedChunk => {
      if (unanswered.delete(index)) return chunks[index]!
      const what = `an answer about item ${index} of ${chunks.length}, or one too many`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    const onAnswer = (answer: AnswerItem): void | Promise<void> => {
      if (answer.type === 'absent') {
        for (const index of answer.indices) this.#queue.lacks(peer, named(index))
        return
      }
      if (answer.type !== 'chunks') {
        const what = `${answer.type} instead of chunks`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      const take = (arrived: readonly ArrivedChunk[]): void | Promise<void> => {
        for (const it of arrived) this.#arrive(peer, named(it.index), it, arrivals)
        if (arrivals.bytes >= PUT_BYTES) return this.#store(peer, arrivals, call)
      }
      const arrived = unpackChunks(peer, answer.chunks, digests)
      return arrived instanceof Promise ? arrived.then(take) : take(arrived)
    }
    try {
      await this.#components.client.ask(peer, { want, bytes, onAnswer }, call)
      for (const index of unanswered) this.#queue.lacks(peer, chunks[index]!)
    } finally {
      if (!call.signal.aborted) await this.#storeLast(peer, arrivals, call)
    }
  }

  #arrive(peer: string, chunk: WantedChunk, came: ArrivedChunk, arrivals: Arrivals): void {
    const { bytes, stored } = came
    if (bytes.length !== chunk.size && !this.#isRightAllTheSame(chunk, bytes)) {
      throw corrupt(peer, chunk.digest.hex)
    }
    this.#delivered.add(peer)
    this.#progress.bytesFetched += (stored?.bytes ?? bytes).length
    this.#progress.peers.add(peer)
    if (!this.#queue.isAsked(chunk.digest)) return // another was faster
    arrivals.chunks.push({ chunk, bytes, stored })
    arrivals.bytes += bytes.length
  }

  /** Stores the rest; the request is over, so that what is wrong with it is told here. */
  async #storeLast(peer: string, arrivals: Arrivals, call: Call): Promise<void> {
    try {
      await this.#store(peer, arrivals, call)
    } catch (error) {
      this.#components.client.reportError(peer, error)
      throw error
    }
  }

  /** Stores what has arrived so far, which checks it. */
  async #store(peer: string, arrivals: Arrivals, call: Call): Promise<void> {
    const chunks = arrivals.chunks.splice(0)
    arrivals.bytes = 0
    const given = chunks.map(({ chunk, ...content }) => ({ digest: chunk.digest, ...content }))
    try {
      await this.#components.castore.blobs.putChunks(given, call)
    } catch (error) {
      if (error instanceof CastoreError && error.fault.code === 'digest-mismatch') {
        throw corrupt(peer, error.fault.digest, error)
      }
      this.#fail(error)
      throw error
    }
    for (const { chunk, bytes } of chunks) {
      if (!this.#queue.settle(chunk.digest)) continue
      const whole = this.#arrived(chunk, bytes.length, bytes)
      for (const assembly of whole) await this.#finish(assembly, call)
    }
    this.#change()
  }

  /** Whether content is what its digest says, so that a layout was wrong about its length. */
  #isRightAllTheSame(chunk: WantedChunk, bytes: Uint8Array): boolean {
    if (this.#singles.has(chunk.digest.hex)) return false // its length is in the Directory
    return Digest.ofContent(bytes).equals(chunk.digest)
  }

  /** Notes that a chunk of that size is in the store; returns the blobs that are whole with it. */
  #arrived({ digest }: WantedChunk, size: number, bytes?: Uint8Array): BlobAssembly[] {
    const single = this.#singles.get(digest.hex)
    if (single !== undefined) this.#countBlob(single)
    const whole: BlobAssembly[] = []
    for (const { assembly, index } of [...(this.#uses.get(digest.hex) ?? [])]) {
      const before = assembly.isWhole
      if (this.#isDisproved(assembly)) continue
      if (!this.#takes(assembly, index, size, bytes)) {
        this.#disprove(assembly)
        continue
      }
      this.#progress.bytesDone += size
      if (assembly.isWhole && !before) whole.push(assembly)
    }
    return whole
  }

  /** Whether a chunk of that size is what an assembly needs there, as far as that is known. */
  #takes(assembly: BlobAssembly, index: number, size: number, bytes?: Uint8Array): boolean {
    if (assembly.layout[index]!.size !== size) return false
    try {
      assembly.arrived(index, bytes)
      return true
    } catch (error) {
      if (error instanceof ProofError) return false
      throw error
    }
  }

  async #finish(assembly: BlobAssembly, call: Call): Promise<void> {
    this.#finishing++
    try {
      await assembly.finish(this.#components.castore.blobs, call)
      this.#sources.delete(assembly)
      this.#progress.filesDone++
    } catch (error) {
      const isMismatch = error instanceof CastoreError && error.fault.code === 'digest-mismatch'
      if (!isMismatch && !(error instanceof ProofError)) throw error
      this.#disprove(assembly)
    } finally {
      this.#finishing--
      this.#change()
    }
  }

  /** Its layout is a lie: what only that asks for is wanted no more. What is here stays. */
  #disprove(assembly: BlobAssembly): void {
    const sourced = this.#sources.get(assembly)
    if (sourced === undefined || this.#falsehoods.has(sourced)) return
    this.#falsehoods.add(sourced)
    assembly.abandon()
    const isWanted = ({ digest }: WantedChunk): boolean =>
      this.#singles.has(digest.hex) ||
      this.#uses.get(digest.hex)!.some((use) => !this.#isDisproved(use.assembly))
    this.#queue.drop(assembly.layout.filter((chunk) => !isWanted(chunk)))
  }

  #isDisproved(assembly: BlobAssembly): boolean {
    const sourced = this.#sources.get(assembly)
    return sourced !== undefined && this.#falsehoods.has(sourced)
  }

  #stuck(): SourcedLayout[] {
    return [...this.#sources.values()].filter((sourced) => !this.#falsehoods.has(sourced))
  }

  #countBlob(blob: WantedBlob): void {
    this.#progress.filesDone++
    this.#progress.bytesDone += blob.size
  }

  async #untilDone(call: Call, inner: Call): Promise<void> {
    while (this.#queue.size > 0 || this.#finishing > 0) {
      this.#over.signal.throwIfAborted()
      if (this.#lanes === 0 && this.#finishing === 0 && !this.#giveSecondChance(inner)) {
        return this.#endShort()
      }
      await unlessAborted(this.#changed.promise, call.signal)
    }
    this.#over.signal.throwIfAborted()
  }

  #giveSecondChance(call: Call): boolean {
    if (this.#secondChances++ >= SECOND_CHANCES_MAX) return false
    for (const peer of [...this.#out]) {
      if (!this.#delivered.delete(peer)) continue
      this.#out.delete(peer)
      this.#open(peer, call)
    }
    return this.#lanes > 0
  }

  /** Nobody is left to ask. What is one chunk has no layout that could be wrong. */
  #endShort(): void {
    const missing = this.#queue.left().find(({ digest }) => this.#singles.has(digest.hex))
    if (missing === undefined) return
    throw peerError({ code: 'no-holder', digest: missing.digest.hex }, this.#lastFailure)
  }

  /** Until something happens, or it is time for a second ask. */
  async #untilChange(call: Call): Promise<void> {
    const waiting = new AbortController()
    const inner = narrowedCall(call, waiting.signal)
    const time = this.#components.clock.sleep(SECOND_ASK_MS / 4, inner)
    time.catch(() => undefined) // cut short below
    try {
      await unlessAborted(Promise.race([this.#changed.promise, time]), call.signal)
    } finally {
      waiting.abort()
    }
  }

  #fail(error: unknown): void {
    this.#over.abort(error)
    this.#change()
  }

  #change(): void {
    const changed = this.#changed
    this.#changed = Promise.withResolvers<void>()
    changed.resolve()
  }
}

function corrupt(peer: string, digest: string, cause?: unknown): PeerError {
  return peerError({ code: 'content-corrupt', peer, digest }, cause)
}
