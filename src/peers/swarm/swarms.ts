import { EMPTY_BLOB } from '../../castore/blob-store.ts'
import type { ReadableCastore } from '../../castore/castore.ts'
import type { DirectorySource } from '../../castore/directory-store.ts'
import type { Directory } from '../../castore/model/directory.ts'
import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Digest } from '../../foundation/digest.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import type { ReadAccess } from '../../pathinfo/read-access.ts'
import { Origins } from './origins.ts'
import { Swarm } from './swarm.ts'

/**
 * For how long what was fetched is given on as part of its fetch: until it is known to be reached
 * by a path that is shared.
 */
export const LINGER_MS = 30_000

/** How many fetches others can take part in at once; further ones are not told of. */
export const SWARMS_MAX = 256

/** A part in a swarm: over when it is disposed of. */
export interface Membership extends Disposable {
  readonly swarm: Swarm
  /** Everything is here. */
  complete(): void
}

/**
 * What is being fetched here, and may be given on meanwhile: only what the share policy lets out
 * once it is here. To others it is like content that is held.
 */
export class Swarms {
  readonly #components: { readonly clock: Clock; readonly access: ReadAccess }
  readonly #swarms = new Map<string, Swarm>()
  /** Who fetches what is here whole. */
  readonly origins: Origins
  readonly #stopping = new AbortController()

  constructor(components: { clock: Clock; access: ReadAccess }) {
    this.#components = components
    this.origins = new Origins(components)
  }

  /**
   * Begins a part in the swarm of a path that is to be fetched. Undefined where nobody else may
   * know of it, or it is being fetched already.
   */
  join(pathInfo: PathInfo): Membership | undefined {
    const { access, clock } = this.#components
    const { node } = pathInfo
    if (node.type === 'symlink' || !access.shares(pathInfo)) return undefined
    const { digest } = node
    if (this.#swarms.size >= SWARMS_MAX || this.#swarms.has(digest.hex)) return undefined
    return this.#begin(new Swarm({ clock }, { root: digest }))
  }

  #begin(swarm: Swarm): Membership {
    this.#swarms.set(swarm.root.hex, swarm)
    let isComplete = false
    return {
      swarm,
      complete: () => {
        isComplete = true
        swarm.complete()
      },
      [Symbol.dispose]: () => {
        if (isComplete) this.#linger(swarm)
        else this.#leave(swarm)
      },
    }
  }

  /**
   * Makes a swarm of its own known, under its root, until it is disposed of. Undefined where there
   * are too many. With `isOrigin`, all that is known of the content is here.
   */
  open(root: Digest, init: { readonly isOrigin: boolean }): Membership | undefined {
    if (this.#swarms.size >= SWARMS_MAX || this.#swarms.has(root.hex)) return undefined
    const { clock } = this.#components
    const origins = init.isOrigin ? { origins: this.origins } : {}
    return this.#begin(new Swarm({ clock, ...origins }, { root }))
  }

  /** The swarm of a root that is being fetched here. */
  of(root: Digest): Swarm | undefined {
    return this.#swarms.get(root.hex)
  }

  reachesDirectory(digest: Digest): boolean {
    for (const swarm of this.#swarms.values()) if (swarm.reachesDirectory(digest)) return true
    return false
  }

  reachesBlob(digest: Digest): boolean {
    for (const swarm of this.#swarms.values()) if (swarm.reachesBlob(digest)) return true
    return false
  }

  /** Has chunks that a reader waits for come before all others, where they are being fetched. */
  async bring(chunks: readonly Digest[], call: Call): Promise<void> {
    const swarms = [...this.#swarms.values()]
    await Promise.all(chunks.flatMap((chunk) => swarms.map((swarm) => swarm.bring(chunk, call))))
  }

  /** A Directory of what is being fetched. */
  directory(digest: Digest): Directory | undefined {
    for (const swarm of this.#swarms.values()) {
      const directory = swarm.directory(digest)
      if (directory !== undefined) return directory
    }
    return undefined
  }

  /** Ends all that goes on. */
  stop(): void {
    this.#stopping.abort(new Error('stopping'))
    for (const swarm of this.#swarms.values()) this.#leave(swarm)
  }

  #linger(swarm: Swarm): void {
    const leave = (): void => this.#leave(swarm)
    this.#components.clock.sleep(LINGER_MS, { signal: this.#stopping.signal }).then(leave, leave)
  }

  #leave(swarm: Swarm): void {
    swarm.end()
    const key = swarm.root.hex
    if (this.#swarms.get(key) === swarm) this.#swarms.delete(key)
  }
}

/** What others may read while it is being fetched, besides what they may read anyway. */
export class SwarmAccess implements ReadAccess {
  readonly isOwner = false
  readonly #access: ReadAccess
  readonly #swarms: Swarms

  constructor(components: { access: ReadAccess; swarms: Swarms }) {
    this.#access = components.access
    this.#swarms = components.swarms
  }

  get sharesDocuments(): boolean {
    return this.#access.sharesDocuments
  }

  shares(pathInfo: PathInfo): boolean {
    return this.#access.shares(pathInfo)
  }

  async tells(pathInfo: PathInfo, call: Call): Promise<boolean> {
    return await this.#access.tells(pathInfo, call)
  }

  reachesDirectory(digest: Digest): boolean {
    return this.#access.reachesDirectory(digest) || this.#swarms.reachesDirectory(digest)
  }

  reachesBlob(digest: Digest): boolean {
    if (digest.equals(EMPTY_BLOB)) return true
    return this.#access.reachesBlob(digest) || this.#swarms.reachesBlob(digest)
  }
}

/** The castore, and the Directories of fetches that it will have only when they are whole. */
export class SwarmCastore implements ReadableCastore {
  readonly blobs: ReadableCastore['blobs']
  readonly directories: DirectorySource

  constructor({ castore, swarms }: { castore: ReadableCastore; swarms: Swarms }) {
    this.blobs = castore.blobs
    this.directories = new SwarmDirectories(castore.directories, swarms)
  }
}

class SwarmDirectories implements DirectorySource {
  readonly #directories: DirectorySource
  readonly #swarms: Swarms

  constructor(directories: DirectorySource, swarms: Swarms) {
    this.#directories = directories
    this.#swarms = swarms
  }

  async get(digest: Digest, call: Call): Promise<Directory | undefined> {
    return this.#swarms.directory(digest) ?? (await this.#directories.get(digest, call))
  }

  async *closure(root: Digest, call: Call): AsyncGenerator<Directory> {
    const directories = this.#swarms.of(root)?.directories
    if (directories !== undefined) yield* directories
    else yield* this.#directories.closure(root, call)
  }
}
