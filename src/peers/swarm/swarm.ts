import { DigestSet } from '../../castore/digest-set.ts'
import type { Directory } from '../../castore/model/directory.ts'
import type { BitSet } from '../../foundation/bit-set.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import { waitUpTo } from '../../foundation/wait-up-to.ts'
import { type Availability, KEEPALIVE_MS, NEWS_MS } from './availability.ts'
import type { Origins } from './origins.ts'
import type { Pieces } from './pieces.ts'

/** What a fetch has come to know of its content. */
export interface SwarmContent {
  readonly pieces: Pieces
  /** The Directories below the root, the root first; none where the root is a file. */
  readonly directories: readonly Directory[]
  /** The blobs below the root. */
  readonly blobs: readonly Digest[]
  /** The pieces that are here already. */
  readonly held: BitSet
}

/**
 * One fetch that others may take part in: what of it is here, told to those who watch, and which
 * digests it reaches.
 */
export class Swarm {
  readonly root: Digest
  readonly #clock: Clock
  readonly #origins: Pick<Origins, 'watch'> | undefined
  readonly #onMember: Set<(peer: string) => void> = new Set()
  /** What readers wait for, by piece, in the order in which they came. */
  readonly #awaited = new Map<number, PromiseWithResolvers<void>>()
  #onAwaited: (pieces: readonly number[]) => void = () => undefined
  #pieceOf: ReadonlyMap<string, number> | undefined
  readonly #watchers = new Set<Watcher>()
  readonly #reached = new DigestSet()
  readonly #directories = new Map<string, Directory>()
  readonly #claims = new Set<number>()
  readonly #over = new AbortController()
  readonly #ready = Promise.withResolvers<void>()
  #content: SwarmContent | undefined
  #isComplete = false

  /** @param components.origins where all that there is to fetch is here, as it becomes known */
  constructor(
    components: { clock: Clock; origins?: Pick<Origins, 'watch'> },
    init: { readonly root: Digest },
  ) {
    this.#clock = components.clock
    this.#origins = components.origins
    this.root = init.root
    this.#ready.promise.catch(() => undefined) // thrown to those who wait for it
  }

  /** The Directories below the root while the store does not have them; undefined before that. */
  get directories(): readonly Directory[] | undefined {
    return this.#content?.directories
  }

  /** Whether everything is here. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Whether a Directory is below the root. */
  reachesDirectory(digest: Digest): boolean {
    return this.#directories.has(digest.hex)
  }

  /** A Directory below the root. */
  directory(digest: Digest): Directory | undefined {
    return this.#directories.get(digest.hex)
  }

  /** Whether a blob or a chunk is below the root. */
  reachesBlob(digest: Digest): boolean {
    return this.#reached.has(digest.bytes)
  }

  /** It is known what there is to fetch, and what of it is here. Takes over `held`. */
  prepare(content: SwarmContent): void {
    this.#content = content
    for (const directory of content.directories) {
      this.#directories.set(directory.digest.hex, directory)
    }
    for (const digest of content.blobs) this.#reached.add(digest.bytes)
    for (const { digest } of content.pieces.chunks) this.#reached.add(digest.bytes)
    this.#ready.resolve()
  }

  /** Chunks of what is fetched are here that were not known of before. */
  reach(chunks: Iterable<Digest>): void {
    for (const digest of chunks) this.#reached.add(digest.bytes)
  }

  /** A piece is here. */
  holds(piece: number): void {
    if (this.#content?.held.add(piece) !== true) return
    this.#claims.delete(piece)
    this.#awaited.get(piece)?.resolve()
    if (this.#awaited.delete(piece)) this.#onAwaited([...this.#awaited.keys()])
    for (const watcher of this.#watchers) watcher.tell({ added: [piece] })
  }

  /** Pieces are asked of one who has everything, or not any more. */
  claims(pieces: readonly number[], isFetching: boolean): void {
    for (const piece of pieces) {
      if (isFetching) this.#claims.add(piece)
      else this.#claims.delete(piece)
    }
    const news = isFetching ? { claimed: pieces } : { released: pieces }
    for (const watcher of this.#watchers) watcher.tell(news)
  }

  /** Everything is here. */
  complete(): void {
    this.#isComplete = true
    for (const watcher of this.#watchers) watcher.tell({ complete: true })
  }

  /** Nobody is told anything any more. */
  end(): void {
    this.#over.abort(new Error('the fetch is over'))
    this.#ready.reject(this.#over.signal.reason)
    for (const { resolve } of this.#awaited.values()) resolve()
    this.#awaited.clear()
  }

  /** Calls `listener` with all that readers wait for, whenever that is something else. */
  onAwaited(listener: (pieces: readonly number[]) => void): void {
    this.#onAwaited = listener
  }

  /**
   * A reader waits for a chunk: it is fetched before all others. Resolves when it is here, or will
   * not come this way; at once where it is none of the fetch.
   */
  async bring(chunk: Digest, call: Call): Promise<void> {
    if (this.#content === undefined || !this.reachesBlob(chunk)) return
    const { pieces } = this.#content
    this.#pieceOf ??= new Map(pieces.chunks.map(({ digest }, i) => [digest.hex, pieces.pieceOf(i)]))
    const piece = this.#pieceOf.get(chunk.hex)
    if (piece === undefined || this.#content.held.has(piece)) return
    const awaited = this.#awaited.get(piece) ?? Promise.withResolvers<void>()
    this.#awaited.set(piece, awaited)
    this.#onAwaited([...this.#awaited.keys()])
    await unlessAborted(awaited.promise, call.signal)
  }

  /** Calls `listener` for everybody who begins to watch: they are at it as well. */
  onMember(listener: (peer: string) => void): Disposable {
    this.#onMember.add(listener)
    return { [Symbol.dispose]: () => void this.#onMember.delete(listener) }
  }

  /**
   * What is here, and then what is new, until everything is, or the fetch is over. Ends at once
   * where the other has another list of pieces.
   */
  async *watch(peer: string, pieces: Uint8Array, call: Call): AsyncGenerator<Availability> {
    for (const listener of this.#onMember) listener(peer)
    const inner = narrowedCall(call, this.#over.signal)
    const watcher = new Watcher()
    this.#watchers.add(watcher)
    try {
      if (this.#origins !== undefined) yield* this.#origins.watch(peer, this.root, inner)
      while (this.#content === undefined && !this.#isComplete) {
        yield {} // at it, though it is not known yet with what
        await waitUpTo(this.#clock, KEEPALIVE_MS, this.#ready.promise, inner)
      }
      if (this.#content !== undefined && !this.#isComplete) {
        if (Buffer.compare(this.#content.pieces.id.bytes, pieces) !== 0) return
        watcher.take() // it is in what comes first
        yield { held: this.#content.held.toBytes(), claimed: [...this.#claims] }
      }
      while (!this.#isComplete) {
        await waitUpTo(this.#clock, KEEPALIVE_MS, watcher.news, inner)
        await this.#clock.sleep(NEWS_MS, inner)
        yield watcher.take()
      }
      yield { complete: true }
    } catch (error) {
      if (!this.#over.signal.aborted) throw error
    } finally {
      this.#watchers.delete(watcher)
    }
  }
}

/** What one who watches has not been told yet. */
class Watcher {
  #added: number[] = []
  readonly #claims = new Map<number, boolean>()
  #changed = Promise.withResolvers<void>()

  /** Resolves when there is something new. */
  get news(): Promise<void> {
    return this.#changed.promise
  }

  tell({ added = [], claimed = [], released = [] }: Availability): void {
    this.#added.push(...added)
    for (const piece of claimed) this.#claims.set(piece, true)
    for (const piece of released) this.#claims.set(piece, false)
    this.#changed.resolve()
  }

  take(): Availability {
    const claims = [...this.#claims]
    const added = this.#added
    this.#added = []
    this.#claims.clear()
    this.#changed = Promise.withResolvers<void>()
    return {
      added,
      claimed: claims.flatMap(([piece, isFetching]) => (isFetching ? [piece] : [])),
      released: claims.flatMap(([piece, isFetching]) => (isFetching ? [] : [piece])),
    }
  }
}
