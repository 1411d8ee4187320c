import { CastoreError } from '../castore/castore-error.ts'
import type { Node } from '../castore/model/node.ts'
import { rootOfNarUrl } from '../castore/model/root-url.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { ExpiringMap } from '../foundation/expiring-map.ts'
import type { Log } from '../foundation/log.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import type { PublicKey } from '../nix/key.ts'
import type { NarInfo } from '../nix/nar-info.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import { PathFacts } from '../pathinfo/path-facts.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { FetchProgress } from '../substitution/fetch-progress.ts'
import { MissMemory } from '../substitution/miss-memory.ts'
import type { NarOffer, OfferFlaw, PathSource } from '../substitution/path-source.ts'
import type { BinaryCache } from './binary-cache.ts'
import { CacheError, cacheError } from './cache-error.ts'
import { UPSTREAM_CONNECTIONS_MAX } from './http-cache-files.ts'

/** For how long a path that a cache does not have is not asked for again, in ms, by default. */
export const UPSTREAM_MISS_MS = 60_000

/** For how long a narinfo of a cache is kept, in milliseconds. */
export const NAR_INFO_MS = 10 * 60_000

/** How much memory the narinfos of one cache may take that are kept, in bytes, about. */
export const NAR_INFOS_BYTES_MAX = 16 * 1024 * 1024

/** What a narinfo takes in memory without what it lists, and each thing that it lists, in bytes. */
const NAR_INFO_BYTES = 1024
const LISTED_BYTES = 256

/**
 * For how long a path is left alone of which a cache gave a wrong NAR, or the root that it named
 * for it, in milliseconds.
 */
export const WRONG_MS = 10 * 60_000

/** The priority of a cache that nobody has given one, as Nix has it for caches of one's own. */
const PRIORITY = 50

/** What of the connections NARs may take, so that they do not keep narinfos waiting. */
const NAR_SHARE = 0.75

/** What a flaw of an offer says of the cache that made it. */
const WORDS: Readonly<Record<Exclude<OfferFlaw, 'untrusted'>, string>> = {
  forged: 'a signature was forged',
  'nar-mismatch': 'a NAR was not the signed one',
  'false-root': 'a castore root was not that of the signed NAR',
}

/** What a source is made of. */
export interface UpstreamSourceComponents {
  readonly cache: Pick<BinaryCache, 'name' | 'info' | 'narInfo' | 'nar'>
  readonly clock: Clock
  readonly log: Log
}

/** How one cache is used. */
export interface UpstreamSourceInit {
  /** Counts before what the cache says of itself. A lower number is asked first. */
  readonly priority?: number | undefined
  /** Keys that count for what this cache says, besides those that always do. */
  readonly keys?: readonly PublicKey[]
  /** Whether neighbours share the work of pulling from it; not by default. */
  readonly isShared?: boolean | undefined
  /** In ms; {@link UPSTREAM_MISS_MS} by default. */
  readonly missMs?: number | undefined
  /** How long `find` takes at the most, in ms; by its history where it is not given. */
  readonly limitMs?: number | undefined
  /** {@link UPSTREAM_CONNECTIONS_MAX} by default. */
  readonly connectionsMax?: number | undefined
}

/** How often a cache gave what is wrong, and what came last. */
export interface UpstreamFaults {
  readonly count: number
  readonly last: { readonly what: string; readonly atMs: number } | undefined
}

/**
 * A binary cache as a source of paths. What it does not have is remembered for a while, and so are
 * its narinfos, since a client asks for them several times.
 */
export class UpstreamSource implements PathSource {
  readonly name: string
  readonly limitMs?: number
  readonly #cache: UpstreamSourceComponents['cache']
  readonly #clock: Clock
  readonly #log: Log
  readonly #keys: readonly PublicKey[]
  readonly #isShared: boolean
  readonly #misses: MissMemory
  readonly #wrong: MissMemory
  /** The paths whose roots were false. */
  readonly #falseRoots: MissMemory
  readonly #narInfos: ExpiringMap<NarInfo>
  readonly #asking: Semaphore
  readonly #fetching: Semaphore
  readonly #ownPriority: number | undefined
  #saidPriority: number | undefined
  #busy: { readonly error: CacheError; readonly untilMs: number } | undefined
  #deliveredAtMs: number | undefined
  #faults: UpstreamFaults = { count: 0, last: undefined }

  constructor(components: UpstreamSourceComponents, init: UpstreamSourceInit = {}) {
    const { cache, clock, log } = components
    this.name = cache.name
    if (init.limitMs !== undefined) this.limitMs = init.limitMs
    this.#cache = cache
    this.#clock = clock
    this.#log = log
    this.#keys = init.keys ?? []
    this.#isShared = init.isShared ?? false
    const narInfos = { keptMs: NAR_INFO_MS, weightMax: NAR_INFOS_BYTES_MAX, weigh: bytesOf }
    this.#narInfos = new ExpiringMap({ clock }, narInfos)
    this.#misses = new MissMemory({ clock }, { missMs: init.missMs ?? UPSTREAM_MISS_MS })
    this.#wrong = new MissMemory({ clock }, { missMs: WRONG_MS })
    this.#falseRoots = new MissMemory({ clock }, { missMs: WRONG_MS })
    const connections = init.connectionsMax ?? UPSTREAM_CONNECTIONS_MAX
    this.#asking = new Semaphore(connections)
    this.#fetching = new Semaphore(Math.max(1, Math.floor(connections * NAR_SHARE)))
    this.#ownPriority = init.priority
  }

  /** What it was given; else what the cache says of itself, once it was reached. */
  get priority(): number {
    return this.#ownPriority ?? this.#saidPriority ?? PRIORITY
  }

  get deliveredAtMs(): number | undefined {
    return this.#deliveredAtMs
  }

  /** How often the cache gave what is wrong. */
  get faults(): UpstreamFaults {
    return this.#faults
  }

  /** Reaches the cache, and reads what it says of itself. @throws CacheError */
  async probe(call: Call): Promise<void> {
    this.#checkNotBusy()
    const info = await this.#heeding(this.#cache.info(call))
    // Nix takes 0 for one that is not given, which would put it before all others.
    if (info.priority !== 0) this.#saidPriority = info.priority
  }

  /** What the cache says of a path, if it has it. @throws CacheError */
  async *find(hash: Uint8Array, call: Call): AsyncGenerator<NarOffer> {
    const key = encodeNixBase32(hash)
    if (this.#misses.has(key) || this.#wrong.has(key)) return
    const info = this.#narInfos.get(key) ?? (await this.#ask(key, hash, call))
    if (info !== undefined) yield this.#offer(key, info)
  }

  async #ask(key: string, hash: Uint8Array, call: Call): Promise<NarInfo | undefined> {
    this.#checkNotBusy()
    using _slot = await this.#asking.acquire(1, call)
    const sinceMs = this.#clock.now()
    const info = await this.#heeding(this.#cache.narInfo(hash, call))
    if (info === undefined) this.#misses.remember(key, sinceMs)
    else this.#narInfos.set(key, info)
    return info
  }

  #offer(key: string, info: NarInfo): NarOffer {
    return {
      kind: 'nar',
      facts: this.#factsOf(key, info),
      keys: this.#keys,
      isShared: this.#isShared,
      root: this.#rootOf(key, info),
      nar: (progress, call) => this.#nar(key, info, progress, call),
      turnDown: (flaw) => this.#turnedDown(key, flaw),
    }
  }

  #factsOf(key: string, info: NarInfo): PathFacts {
    try {
      return new PathFacts(info)
    } catch (error) {
      if (!(error instanceof PathInfoError)) throw error
      this.#narInfos.delete(key)
      const what = `says of ${info.storePath} what can not be: ${error.message}`
      throw this.#noted(cacheError('wrong-content', this.name, what, error))
    }
  }

  /** The root that a narinfo names; undefined where it names none that could be the path's. */
  #rootOf(key: string, { url, narSize }: NarInfo): Node | undefined {
    if (this.#falseRoots.has(key)) return undefined
    try {
      const named = rootOfNarUrl(url)
      if (named?.narSize === undefined || named.narSize === narSize) return named?.node
      const what = `a NAR of ${named.narSize} bytes, where the narinfo says ${narSize}`
      this.#log.debug('a root is of another NAR', { upstream: this.name, path: key, what })
    } catch (error) {
      if (!(error instanceof CastoreError)) throw error
      // The cache may know what it means by its URL: the NAR will show.
      this.#log.debug('a root can not be read', { upstream: this.name, path: key, error })
    }
    return undefined
  }

  async *#nar(
    key: string,
    info: NarInfo,
    progress: FetchProgress,
    call: Call,
  ): AsyncGenerator<Uint8Array> {
    using _slot = await this.#fetching.acquire(1, call)
    try {
      for await (const piece of this.#cache.nar(info, progress, call)) {
        this.#deliveredAtMs = this.#clock.now()
        yield piece
      }
    } catch (error) {
      call.signal.throwIfAborted()
      if (!(error instanceof CacheError)) throw error
      const { code } = error.fault
      // To ask again at once would bring the same again.
      if (code === 'nar-absent' || code === 'wrong-content' || code === 'bad-name') {
        this.#leaveAlone(key)
      }
      throw this.#noted(error)
    }
  }

  #turnedDown(key: string, flaw: OfferFlaw): void {
    if (flaw === 'untrusted') return
    if (flaw === 'false-root') this.#falseRoots.remember(key)
    else this.#leaveAlone(key)
    this.#note(WORDS[flaw], { path: key })
  }

  #leaveAlone(key: string): void {
    this.#narInfos.delete(key)
    this.#wrong.remember(key)
  }

  /** Notes what a cache should not have done, and for how long it wants to be left alone. */
  async #heeding<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked
    } catch (error) {
      throw error instanceof CacheError ? this.#noted(error) : error
    }
  }

  #noted(error: CacheError): CacheError {
    const { fault } = error
    if (fault.code === 'busy' && fault.retryAfterMs !== undefined) {
      this.#busy = { error, untilMs: this.#clock.now() + fault.retryAfterMs }
    }
    if (
      fault.code === 'wrong-content' ||
      fault.code === 'nar-absent' ||
      fault.code === 'bad-name'
    ) {
      this.#note(fault.what, {})
    }
    return error
  }

  #note(what: string, fields: { readonly path?: string }): void {
    this.#faults = { count: this.#faults.count + 1, last: { what, atMs: this.#clock.now() } }
    this.#log.warn('upstream gave what is wrong', { upstream: this.name, what, ...fields })
  }

  #checkNotBusy(): void {
    if (this.#busy === undefined) return
    if (this.#busy.untilMs > this.#clock.now()) throw this.#busy.error
    this.#busy = undefined
  }
}

/** About what a narinfo takes in memory. */
function bytesOf({ url, references, signatures, ca }: NarInfo): number {
  const listed = references.length + signatures.length
  return NAR_INFO_BYTES + 2 * (url.length + (ca?.length ?? 0)) + listed * LISTED_BYTES
}
