import type { ChunkRef } from '../../castore/blob-store.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import { waitUpTo } from '../../foundation/wait-up-to.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import {
  PULL_KEEPALIVE_MS,
  PULL_NEWS_MS,
  type PullNews,
  type PullPhase,
  TOLD_AT_ONCE,
} from './pull-news.ts'
import type { ToldRoom } from './told-room.ts'

/**
 * That this node wants a path, and what it does about it, told to the others who want it. Nothing
 * is kept for each of those but how far it has been told.
 */
export class PullClaim {
  readonly #clock: Clock
  readonly #narSize: number
  readonly #progress: FetchProgress
  readonly #room: ToldRoom
  readonly #over = new AbortController()
  #phase: PullPhase = 'waiting'
  #run = 0
  #chunks: ChunkRef[] = []
  #storedBytes = 0
  /** Whether a chunk was left out: then the list has ended. */
  #isCut = false
  #changed = Promise.withResolvers<void>()

  constructor(
    components: { clock: Clock; room: ToldRoom },
    init: { readonly narSize: number; readonly progress: FetchProgress },
  ) {
    this.#clock = components.clock
    this.#room = components.room
    this.#narSize = init.narSize
    this.#progress = init.progress
  }

  get phase(): PullPhase {
    return this.#phase
  }

  /** How many bytes of content have been stored of the pull. */
  get storedBytes(): number {
    return this.#storedBytes
  }

  /** This node pulls the path from now on; `run` tells this pull from others. */
  begin(run: number): void {
    this.#phase = 'pulling'
    this.#run = run
    this.#tell()
  }

  /** It leaves the path to another, who pulls it as well. */
  yield(): void {
    this.#phase = 'waiting'
    this.#run = 0
    this.#room.giveBack(this.#chunks.length)
    this.#chunks = []
    this.#storedBytes = 0
    this.#isCut = false
    this.#tell()
  }

  /**
   * A chunk is stored. Says whether it is told: what goes beyond the NAR is not, as where a second
   * cache is tried within one pull; that would look like a lie.
   */
  stored(chunk: ChunkRef): boolean {
    if (this.#phase !== 'pulling' || this.#over.signal.aborted) return false
    this.#storedBytes += chunk.size
    this.#isCut ||= this.#storedBytes > this.#narSize || !this.#room.take(1)
    if (this.#isCut) return false
    this.#chunks.push(chunk)
    this.#tell()
    return true
  }

  /** The path is here whole. */
  complete(): void {
    this.#phase = 'complete'
    this.#tell()
  }

  /** Nobody is told anything any more. */
  end(): void {
    if (this.#over.signal.aborted) return
    this.#over.abort(new Error('the path is not wanted any more'))
    this.#room.giveBack(this.#chunks.length)
    this.#chunks = []
  }

  /** What is done about the path, and then what is new, up to the end of the claim. */
  async *watch(call: Call): AsyncGenerator<PullNews> {
    const inner = narrowedCall(call, this.#over.signal)
    let [run, told] = [this.#run, 0]
    try {
      while (!this.#over.signal.aborted) {
        const { promise } = this.#changed
        if (run !== this.#run) [run, told] = [this.#run, 0]
        const chunks = this.#chunks.slice(told, told + TOLD_AT_ONCE)
        told += chunks.length
        const isLast = told === this.#chunks.length
        // That it is complete is told last: nothing follows from who has been told so.
        const phase = this.#phase === 'complete' && !isLast ? 'pulling' : this.#phase
        yield { phase, run, pulledBytes: this.#progress.bytesFetched, chunks }
        if (!isLast) continue
        await waitUpTo(this.#clock, PULL_KEEPALIVE_MS, promise, inner)
        await this.#clock.sleep(PULL_NEWS_MS, inner)
      }
    } catch (error) {
      if (!this.#over.signal.aborted) throw error
    }
  }

  #tell(): void {
    const changed = this.#changed
    this.#changed = Promise.withResolvers<void>()
    changed.resolve()
  }
}
