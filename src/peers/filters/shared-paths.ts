import type { Call } from '../../foundation/call.ts'
import type { Log } from '../../foundation/log.ts'
import type { Service } from '../../foundation/service.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import type { LocalPathInfoStore, StoreEvent } from '../../pathinfo/path-info-store.ts'
import { type ReadAccess, reachesRoot } from '../../pathinfo/read-access.ts'
import { PathHashSet } from './path-hash-set.ts'

/** How many paths are looked at before others have their turn. */
const SLICE = 2_048

/** What is known of which paths others may be told of. */
export interface SharedMarks extends ReadAccess {
  /** Whether a path was found to be shared, and all of it can be had. */
  isMarked(hash: Uint8Array): boolean
  /** Tells of each path that has been looked at. */
  onWalked(listener: (hash: Uint8Array, isShared: boolean) => void): Disposable
}

/** One who wants to know of each change. */
export interface SharedPathsWatcher {
  added(hash: Uint8Array): void
  /** `isTakenBack` where it is not shared any more; otherwise it has merely gone. */
  removed(isTakenBack: boolean): void
  /** All of them have been found out anew. */
  renewed(): void
}

/** What it works with. */
export interface SharedPathsComponents {
  readonly pathInfos: LocalPathInfoStore
  readonly shared: SharedMarks
  readonly log: Log
}

/**
 * The hash parts of all paths that others are told of, kept once for all who want a filter of them:
 * a path is among them from when all that it reaches can be had until it goes or is taken back.
 */
export class SharedPaths implements Service {
  readonly name = 'shared paths'
  readonly #components: SharedPathsComponents
  readonly #watchers = new Set<SharedPathsWatcher>()
  readonly #stopping = new AbortController()
  #loaded = Promise.withResolvers<void>()
  #hashes = new PathHashSet()
  /** What will take its place, while all is gone through. */
  #coming: PathHashSet | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(components: SharedPathsComponents) {
    this.#components = components
    this.#loaded.promise.catch(() => undefined) // thrown to those who wait for it
  }

  async start(): Promise<void> {
    const call = { signal: this.#stopping.signal }
    this.#work = this.#follow(call).catch((error) => this.#fail(error, call))
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#work
  }

  /**
   * What they are just now; resolves once all have been gone through at the start.
   * @throws where the store can not be followed any more
   */
  async hashes(): Promise<PathHashSet> {
    await this.#loaded.promise
    return this.#hashes
  }

  /** How many there are just now. */
  get size(): number {
    return this.#hashes.size
  }

  has(hash: Uint8Array): boolean {
    return this.#hashes.has(hash)
  }

  /** Tells of each change from now on. */
  watch(watcher: SharedPathsWatcher): Disposable {
    this.#watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }

  /** Nobody is told any more: what comes now would be missed by those who trust in a filter. */
  #fail(error: unknown, call: Call): void {
    if (!call.signal.aborted) {
      this.#components.log.error('what is shared can not be followed', { error })
    }
    this.#loaded.reject(error)
    this.#loaded = Promise.withResolvers<void>()
    this.#loaded.promise.catch(() => undefined)
    this.#loaded.reject(error)
    for (const watcher of this.#watchers) watcher.renewed()
  }

  async #follow(call: Call): Promise<void> {
    const { pathInfos, shared } = this.#components
    using _walks = shared.onWalked((hash, isShared) => {
      if (isShared) this.#add(hash)
      else this.#remove(hash, true)
    })
    const changes = pathInfos.changes(call)
    await this.#goThrough(call)
    this.#loaded.resolve()
    for await (const event of changes) await this.#takeUp(event, call)
  }

  async #takeUp(event: StoreEvent, call: Call): Promise<void> {
    const { pathInfos } = this.#components
    switch (event.type) {
      case 'put':
        return this.#judge(event.pathInfo)
      case 'removed':
        // It may have come again since.
        if ((await pathInfos.get(event.hash, call)) === undefined) this.#remove(event.hash, false)
        return
      case 'missed':
        await this.#goThrough(call)
    }
  }

  /** What can not be had yet is looked at again when it has been walked. */
  #judge(pathInfo: PathInfo): void {
    const { shared } = this.#components
    if (!shared.shares(pathInfo)) this.#remove(pathInfo.storePath.hash, true)
    else if (reachesRoot(shared, pathInfo.node)) this.#add(pathInfo.storePath.hash)
  }

  /** Finds all of them; what is walked meanwhile goes into both. */
  async #goThrough(call: Call): Promise<void> {
    const { pathInfos, shared } = this.#components
    const coming = new PathHashSet()
    this.#coming = coming
    let looked = 0
    for await (const hash of pathInfos.hashes(call)) {
      if (shared.isMarked(hash)) coming.add(hash)
      looked++
      if (looked % SLICE === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    this.#coming = undefined
    this.#hashes = coming
    for (const watcher of this.#watchers) watcher.renewed()
  }

  #add(hash: Uint8Array): void {
    this.#coming?.add(hash)
    if (!this.#hashes.add(hash)) return
    for (const watcher of this.#watchers) watcher.added(hash)
  }

  #remove(hash: Uint8Array, isTakenBack: boolean): void {
    this.#coming?.delete(hash)
    if (!this.#hashes.delete(hash)) return
    for (const watcher of this.#watchers) watcher.removed(isTakenBack)
  }
}
