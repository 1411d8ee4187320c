import type { ReadableCastore } from '../castore/castore.ts'
import { DigestSet } from '../castore/digest-set.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { LocalPathInfoStore, StoreEvent } from '../pathinfo/path-info-store.ts'
import type { SharePolicy } from '../pathinfo/share-policy.ts'
import { ANNOUNCE_MODES, type AnnounceMode } from './announcing/announce-mode.ts'
import { FreshPaths } from './announcing/fresh-paths.ts'
import { reachedKeys, rootKeys } from './announcing/reached-keys.ts'
import { Sweep } from './announcing/sweep.ts'
import { CONTENT_RESERVE_BYTES, Teller } from './announcing/telling.ts'
import { KEYS_PER_STREAM_MAX } from './routing/dht-router.ts'
import { inSpaceOrder } from './routing/kademlia-id.ts'
import type { Router } from './routing/router.ts'
import { pathKey } from './routing/routing-key.ts'

/** How many paths that have just come are announced together. */
export const FRESH_AT_ONCE = 64

/**
 * For how long what comes is gathered once something was announced, in milliseconds: each
 * announcement is a stream to every server, whether it is of one path or of sixty.
 */
export const GATHER_MS = 1_000

/** For how long the contents of paths are gathered, in milliseconds: few look for them. */
export const GATHER_CONTENT_MS = 10_000

/** What the announcer works with. */
export interface AnnouncerComponents {
  readonly router: Router
  readonly pathInfos: LocalPathInfoStore
  readonly castore: ReadableCastore
  readonly share: Pick<SharePolicy, 'shares'>
  readonly clock: Clock
  readonly log: Log
}

/** How it announces. */
export interface AnnouncerInit {
  /** What is announced; by default the first of {@link ANNOUNCE_MODES}. */
  readonly mode?: AnnounceMode
  /** What it may send, in bytes a second; by default `ANNOUNCE_BYTES_PER_SECOND`. */
  readonly bytesPerSecond?: number | undefined
  /** How many paths wait; by default `WAITING_PATHS_MAX` of `fresh-paths.ts`. */
  readonly waitingMax?: number
  /** How often everything is announced, in ms; by default `REPUBLISH_MS` of `sweep-plan.ts`. */
  readonly republishMs?: number
}

/**
 * Tells the network what shared paths are held here: each that is put at once, and all of them in a
 * {@link Sweep}. Nobody else knows that announcing exists; nothing is announced before it is
 * stored.
 */
export class Announcer implements Service {
  readonly name = 'announcer'
  readonly #components: AnnouncerComponents
  readonly #mode: AnnounceMode
  readonly #stopping = new AbortController()
  readonly #teller: Teller
  readonly #sweep: Sweep
  /** Paths whose roots are to be announced. */
  readonly #fresh: FreshPaths
  /** Paths whose roots were announced, but not what they reach. */
  readonly #known: FreshPaths
  #work: Promise<unknown> = Promise.resolve()

  constructor(components: AnnouncerComponents, init: AnnouncerInit = {}) {
    this.#components = components
    this.#mode = init.mode ?? ANNOUNCE_MODES[0]
    this.#teller = new Teller(components, init)
    this.#fresh = new FreshPaths(init)
    this.#known = new FreshPaths(init)
    const what = this.#mode === 'roots' ? 'roots' : 'all'
    const timing = init.republishMs === undefined ? {} : { republishMs: init.republishMs }
    this.#sweep = new Sweep({ ...components, teller: this.#teller }, { what, ...timing })
  }

  /** How many announcements went out, how many paths wait, and whether all are gone through. */
  get progress(): {
    readonly announced: number
    readonly waiting: number
    readonly isHurried: boolean
  } {
    const isHurried = this.#mode !== 'none' && this.#sweep.isHurried
    return {
      announced: this.#teller.announced,
      waiting: this.#fresh.size + this.#known.size,
      isHurried,
    }
  }

  async start(): Promise<void> {
    if (this.#mode === 'none') return
    const call = { signal: this.#stopping.signal }
    const parts = [
      this.#follow(call),
      this.#announceEach(this.#fresh, GATHER_MS, this.#announceRoots, call),
      this.#announceEach(this.#known, GATHER_CONTENT_MS, this.#announceContents, call),
      this.#sweep.run(call),
    ]
    const { log } = this.#components
    this.#work = Promise.all(
      parts.map((part) =>
        part.catch((error) => {
          if (!call.signal.aborted) log.error('announcing ended', { error })
        }),
      ),
    )
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    this.#fresh.wake()
    this.#known.wake()
    await this.#work
  }

  async #follow(call: Call): Promise<void> {
    for await (const event of this.#components.pathInfos.changes(call)) {
      await this.#takeUp(event, call)
    }
  }

  async #takeUp(event: StoreEvent, call: Call): Promise<void> {
    switch (event.type) {
      case 'put':
        if (!this.#components.share.shares(event.pathInfo)) {
          return await this.#takeBack(event.pathInfo.storePath.hash, event.pathInfo, call)
        }
        if (!this.#fresh.add(event.pathInfo.storePath.hash)) this.#sweep.missed()
        return
      case 'removed':
        return await this.#takeBack(event.hash, undefined, call)
      case 'missed':
        this.#sweep.missed()
    }
  }

  async #takeBack(hash: Uint8Array, pathInfo: PathInfo | undefined, call: Call): Promise<void> {
    const { router, log } = this.#components
    this.#fresh.remove(hash)
    this.#known.remove(hash)
    this.#sweep.withdrawn(pathKey(hash))
    for (const key of pathInfo === undefined ? [pathKey(hash)] : rootKeys(pathInfo)) {
      await router.withdraw(key, call).catch((error) => {
        log.debug('announcement could not be taken back', { error })
      })
    }
  }

  async #announceEach(
    queue: FreshPaths,
    gatherMs: number,
    announce: (this: Announcer, paths: readonly PathInfo[], call: Call) => Promise<void>,
    call: Call,
  ): Promise<void> {
    while (!call.signal.aborted) {
      const hashes = await queue.take(FRESH_AT_ONCE)
      try {
        await announce.call(this, await this.#stillShared(hashes, call), call)
      } catch (error) {
        call.signal.throwIfAborted()
        this.#components.log.error('what came could not be announced', { error })
      }
      await this.#components.clock.sleep(gatherMs, call)
    }
  }

  async #announceRoots(paths: readonly PathInfo[], call: Call): Promise<void> {
    const roots = new Map(paths.flatMap((path) => rootKeys(path).map((key) => [key, path])))
    const wanted = (keys: readonly Uint8Array[]) =>
      keys.filter((key) => this.#fresh.isWanted(roots.get(key)!.storePath.hash))
    await this.#teller.tell({ keys: inSpaceOrder([...roots.keys()]), wanted }, call)
    if (this.#mode !== 'all') return
    for (const { storePath } of paths) {
      const isWanted = this.#fresh.isWanted(storePath.hash)
      if (isWanted && !this.#known.add(storePath.hash)) this.#sweep.missed()
    }
  }

  async #announceContents(paths: readonly PathInfo[], call: Call): Promise<void> {
    const owners = new Map<Uint8Array, PathInfo>()
    for (const path of paths) {
      const known = new DigestSet()
      const { castore } = this.#components
      for await (const keys of reachedKeys(castore, path.node, (key) => known.add(key), call)) {
        if (!this.#known.isWanted(path.storePath.hash)) break
        for (const key of keys) owners.set(key, path)
        if (owners.size >= KEYS_PER_STREAM_MAX) await this.#announceKeys(owners, call)
      }
    }
    await this.#announceKeys(owners, call)
  }

  /** Announces keys of contents, and forgets them. */
  async #announceKeys(owners: Map<Uint8Array, PathInfo>, call: Call): Promise<void> {
    const wanted = (keys: readonly Uint8Array[]) =>
      keys.filter((key) => this.#known.isWanted(owners.get(key)!.storePath.hash))
    const reserve = CONTENT_RESERVE_BYTES
    await this.#teller.tell({ keys: inSpaceOrder([...owners.keys()]), reserve, wanted }, call)
    owners.clear()
  }

  async #stillShared(hashes: readonly Uint8Array[], call: Call): Promise<PathInfo[]> {
    const { pathInfos, share } = this.#components
    const found = await Promise.all(hashes.map((hash) => pathInfos.get(hash, call)))
    return found.filter((it) => it !== undefined).filter((it) => share.shares(it))
  }
}
