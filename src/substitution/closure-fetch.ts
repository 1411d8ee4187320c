import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Random } from '../foundation/random.ts'
import type { StorePath } from '../nix/store-path.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import { FetchOrder } from './fetch-order.ts'
import type { FetchProgress } from './fetch-progress.ts'
import type { Substituter } from './substituter.ts'

/** How many paths are brought here at once. */
export const PATHS_AT_ONCE = 8

/** How many paths are asked about at once, to learn what they refer to. */
export const QUESTIONS_AT_ONCE = 16

/** How often a path is looked for again that nobody has, while it may turn up. */
const RETRIES_MAX = 4

/** Time before it is looked for again for the first time, in ms; twice as long each time. */
const RETRY_MS = 500

/** What became of one path. */
export interface PathOutcome {
  readonly storePath: StorePath
  /** It was here before. */
  readonly held: boolean
  /** Why it is not here now; undefined where it is. */
  readonly error?: unknown
}

/** How far a closure has got, all its paths together. */
export interface ClosureProgress {
  readonly pathsTotal: number
  readonly pathsDone: number
  readonly filesTotal: number
  readonly filesDone: number
  readonly bytesTotal: number
  readonly bytesDone: number
  readonly bytesFetched: number
  /** How many peers content came from. */
  readonly peers: number
}

interface Sums {
  filesTotal: number
  filesDone: number
  bytesTotal: number
  bytesDone: number
  bytesFetched: number
}

/** What it works with. */
export interface ClosureFetchComponents {
  readonly substituter: Pick<Substituter, 'describe' | 'obtain' | 'mayCome'>
  readonly clock: Clock
  readonly random: Random
}

/**
 * Brings store paths here, and what they refer to, several at once. The whole closure becomes known
 * while the first of it comes, and is fetched in an order of this node's own: others that want the
 * same begin with something else, and all have something to give.
 */
export class ClosureFetch {
  readonly #substituter: ClosureFetchComponents['substituter']
  readonly #clock: Clock
  readonly #closure: boolean
  readonly #met = new Map<string, StorePath>()
  readonly #unknown: FetchOrder<StorePath>
  readonly #known: FetchOrder<StorePath>
  readonly #running = new Set<FetchProgress>()
  readonly #peers = new Set<string>()
  readonly #finished: Sums = noSums()
  #done = 0

  constructor(components: ClosureFetchComponents, init: { closure: boolean }) {
    this.#substituter = components.substituter
    this.#clock = components.clock
    this.#closure = init.closure
    this.#unknown = new FetchOrder(components)
    this.#known = new FetchOrder(components)
  }

  /** Resolves when every path has come to its end; each is told to `onOutcome`. */
  async run(
    storePaths: readonly StorePath[],
    onOutcome: (outcome: PathOutcome) => void,
    call: Call,
  ): Promise<void> {
    const end = (outcome: PathOutcome): void => {
      this.#done++
      onOutcome(outcome)
    }
    const questions = new Set<Promise<void>>()
    const fetches = new Set<Promise<void>>()
    for (const storePath of storePaths) this.#meet(storePath)
    for (;;) {
      work(questions, QUESTIONS_AT_ONCE, this.#unknown, async (path) => {
        const failed = await this.#ask(path, call)
        if (failed !== undefined) end(failed)
      })
      work(fetches, PATHS_AT_ONCE, this.#known, async (path) => end(await this.#fetch(path, call)))
      if (questions.size + fetches.size === 0) return
      await Promise.race([...questions, ...fetches])
      call.signal.throwIfAborted()
    }
  }

  get progress(): ClosureProgress {
    const sums = { ...this.#finished }
    for (const progress of this.#running) {
      add(sums, progress)
      for (const peer of progress.peers) this.#peers.add(peer)
    }
    const paths = { pathsTotal: this.#met.size, pathsDone: this.#done }
    return { ...paths, ...sums, peers: this.#peers.size }
  }

  #meet(storePath: StorePath): void {
    if (this.#met.has(storePath.hashText)) return
    this.#met.set(storePath.hashText, storePath)
    this.#unknown.add(storePath, 1)
  }

  /** Learns what there is to know of a path; tells what became of it where that is nothing. */
  async #ask(storePath: StorePath, call: Call): Promise<PathOutcome | undefined> {
    try {
      const described = await this.#describe(storePath.hash, call)
      if (described === undefined) return { storePath, held: false, error: nobodyHas(storePath) }
      this.#meetReferences(described)
      this.#known.add(storePath, described.narSize)
      return undefined
    } catch (error) {
      call.signal.throwIfAborted()
      return { storePath, held: false, error }
    }
  }

  async #fetch(storePath: StorePath, call: Call): Promise<PathOutcome> {
    let fetching: FetchProgress | undefined
    try {
      const obtained = await this.#substituter.obtain(storePath.hash, call, (progress) => {
        fetching = progress
        this.#running.add(progress)
      })
      if (obtained === undefined) return { storePath, held: false, error: nobodyHas(storePath) }
      this.#meetReferences(obtained)
      return { storePath, held: fetching === undefined }
    } catch (error) {
      call.signal.throwIfAborted()
      return { storePath, held: false, error }
    } finally {
      if (fetching !== undefined) this.#landed(fetching)
    }
  }

  /** Who fetches can wait for a search that goes on, or for a source that is away for a moment. */
  async #describe(hash: Uint8Array, call: Call): Promise<PathFacts | undefined> {
    for (let tries = 0; ; tries++) {
      const described = await this.#substituter.describe(hash, call)
      if (described !== undefined || tries === RETRIES_MAX) return described
      if (!this.#substituter.mayCome(hash)) return undefined
      await this.#clock.sleep(RETRY_MS * 2 ** tries, call)
    }
  }

  #landed(progress: FetchProgress): void {
    this.#running.delete(progress)
    add(this.#finished, progress)
    for (const peer of progress.peers) this.#peers.add(peer)
  }

  #meetReferences({ references }: PathFacts): void {
    if (this.#closure) for (const reference of references) this.#meet(reference)
  }
}

/** Begins with what is next, as long as no more than `atOnce` are under way. */
function work<T>(
  running: Set<Promise<void>>,
  atOnce: number,
  order: FetchOrder<T>,
  run: (item: T) => Promise<void>,
): void {
  while (running.size < atOnce) {
    const item = order.take()
    if (item === undefined) return
    const worker = run(item).finally(() => running.delete(worker))
    running.add(worker)
  }
}

function add(sums: Sums, more: Sums): void {
  sums.filesTotal += more.filesTotal
  sums.filesDone += more.filesDone
  sums.bytesTotal += more.bytesTotal
  sums.bytesDone += more.bytesDone
  sums.bytesFetched += more.bytesFetched
}

function noSums(): Sums {
  return { filesTotal: 0, filesDone: 0, bytesTotal: 0, bytesDone: 0, bytesFetched: 0 }
}

function nobodyHas(storePath: StorePath): Error {
  return new Error(`nobody who is reached has ${storePath}, signed by a key that is trusted here`)
}
