import { EMPTY_BLOB } from '../castore/blob-store.ts'
import type { ReadableCastore } from '../castore/castore.ts'
import { encodeRoot } from '../castore/model/directory-codec.ts'
import type { Call } from '../foundation/call.ts'
import { type Clock, DeadlineError, withDeadline } from '../foundation/clock.ts'
import { Digest } from '../foundation/digest.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import { encodeNixBase32 } from '../nix/nix-base32.ts'
import { ClosureMarker } from './closure-marker.ts'
import type { PathInfo } from './path-info.ts'
import type { LocalPathInfoStore, StoreEvent } from './path-info-store.ts'
import { type ReadAccess, reachesRoot } from './read-access.ts'
import type { Mark, MarkKind, MarksState, ShareMarks } from './share-marks.ts'
import type { SharePolicy } from './share-policy.ts'

/** How many paths wait to be walked; beyond that the store is gone through again. */
export const WAITING_WALKS_MAX = 16_384

/** How long who asks for a path waits until all that it reaches is marked. */
export const MARKED_MS = 500

/**
 * How long paths that went are gathered before all is gone through anew. What only they reached is
 * mostly gone with them; where a private path holds it, too, it stays readable for so long.
 */
export const GONE_MS = 60_000

/** What it works with. */
export interface SharedContentComponents {
  readonly castore: ReadableCastore
  readonly pathInfos: LocalPathInfoStore
  readonly share: SharePolicy
  readonly marks: ShareMarks
  readonly clock: Clock
  readonly log: Log
}

interface Waiting {
  readonly hash: Uint8Array
  readonly walked: PromiseWithResolvers<void>
}

/**
 * Knows what shared paths reach: what others may read. Each path is walked once, when it comes, and
 * all below it marked with the number of a generation.
 *
 * When the owner or the configuration takes something back, a new generation begins: at once, only
 * what it marks counts, and all paths are walked again in the background, those first that somebody
 * asks for. When a path merely goes, the earlier marks count until the new ones are complete. A
 * path is told of only once all that it reaches is marked: whoever learns of it can have it.
 *
 * What is still being fetched is reached by no path that is held, and served to nobody. To serve
 * it, mark it by the claim that it is fetched for, with the same {@link ClosureMarker}.
 */
export class SharedContent implements Service, ReadAccess {
  readonly name = 'shared content'
  readonly isOwner = false
  readonly #components: SharedContentComponents
  readonly #stopping = new AbortController()
  /** Nothing counts before it has been started. */
  #state: MarksState = {
    generation: 0,
    floor: Number.POSITIVE_INFINITY,
    policy: '',
    isClosed: false,
  }
  #settingState: Promise<void> = Promise.resolve()
  readonly #onWalked = new Set<(hash: Uint8Array, isShared: boolean) => void>()
  readonly #waiting = new Map<string, Waiting>()
  #walking = 0
  #wake = Promise.withResolvers<void>()
  /** Some paths are to be found by going through the store. */
  #behind = Promise.withResolvers<void>()
  #isGoingThrough = false
  #isGathering = false
  /** There are marks that count for nothing. */
  #hasOld = false
  /** Until then nobody waits for a path: somebody has waited in vain. */
  #hurryUntilMs = 0
  #work: Promise<unknown> = Promise.resolve()

  constructor(components: SharedContentComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    const { marks, share } = this.#components
    const policy = share.fingerprint
    const last = await marks.state()
    const first = { generation: 1, floor: 1, policy, isClosed: false }
    if (last === undefined) await this.#setState(first)
    else if (last.policy !== policy) await this.#beginAnew(last, { forgets: true })
    // Of what was marked last, some may not have reached the disk.
    else if (!last.isClosed) await this.#beginAnew(last, { forgets: false })
    else await this.#setState({ ...last, isClosed: false })
    const call = { signal: this.#stopping.signal }
    this.#setBehind(true)
    this.#work = Promise.all([this.#follow(call), this.#walkWaiting(call), this.#goThrough(call)])
  }

  async stop(): Promise<void> {
    const { marks } = this.#components
    this.#stopping.abort(new Error('stopping'))
    for (const waiting of [this.#wake, this.#behind]) waiting.resolve()
    for (const { walked } of this.#waiting.values()) walked.resolve()
    await this.#work
    await this.#setState({ ...this.#state, isClosed: !this.#isGathering })
    await marks.close()
  }

  /** How many paths wait to be walked or are being walked, and whether all are gone through. */
  get progress(): { readonly waiting: number; readonly isGoingThrough: boolean } {
    const waiting = this.#waiting.size + this.#walking
    return { waiting, isGoingThrough: this.#isGoingThrough }
  }

  get sharesDocuments(): boolean {
    return this.#components.share.sharesDocuments
  }

  shares(pathInfo: PathInfo): boolean {
    return this.#components.share.shares(pathInfo)
  }

  async tells(pathInfo: PathInfo, call: Call): Promise<boolean> {
    if (!this.shares(pathInfo)) return false
    if (reachesRoot(this, pathInfo.node)) return true
    await this.#hurried(pathInfo.storePath.hash, call)
    return this.shares(pathInfo) && reachesRoot(this, pathInfo.node)
  }

  /** Whether a path by this hash part was found to be shared, and all that it reaches is marked. */
  isMarked(hash: Uint8Array): boolean {
    return this.#counts('shared-path', hash)
  }

  /** Calls `listener` for each path that was looked at: whether it is shared may be news. */
  onWalked(listener: (hash: Uint8Array, isShared: boolean) => void): Disposable {
    this.#onWalked.add(listener)
    return { [Symbol.dispose]: () => void this.#onWalked.delete(listener) }
  }

  /**
   * Resolves once a path that is held and shared can be had, or it was found that part of it is
   * missing; so that whoever puts something in can tell others of it when that is done.
   */
  async offered(pathInfo: PathInfo, call: Call): Promise<void> {
    if (!this.shares(pathInfo) || reachesRoot(this, pathInfo.node)) return
    const walked = this.#enqueue(pathInfo.storePath.hash)
    if (walked !== undefined) await unlessAborted(walked, call.signal)
  }

  reachesDirectory(digest: Digest): boolean {
    return this.#counts('directory', digest.bytes)
  }

  reachesBlob(digest: Digest): boolean {
    return digest.equals(EMPTY_BLOB) || this.#counts('blob', digest.bytes) // it is everywhere
  }

  /**
   * Takes up that the policy has changed. Where that `narrows` it, nothing counts from now on but
   * what is found to be shared still; this is on stable storage when it resolves.
   */
  async policyChanged({ narrows }: { readonly narrows: boolean }): Promise<void> {
    if (narrows) await this.#beginAnew(this.#state, { forgets: true })
    else await this.#setState({ ...this.#state, policy: this.#components.share.fingerprint })
  }

  #counts(kind: MarkKind, key: Uint8Array): boolean {
    return this.#components.marks.generationOf(kind, key) >= this.#state.floor
  }

  /** Takes up each path that comes. */
  async #follow(call: Call): Promise<void> {
    const { pathInfos, log } = this.#components
    try {
      for await (const event of pathInfos.changes(call)) this.#takeUp(event)
    } catch (error) {
      if (!call.signal.aborted) log.error('watching the store failed', { error })
    }
  }

  #takeUp(event: StoreEvent): void {
    switch (event.type) {
      case 'put':
        if (this.#enqueue(event.pathInfo.storePath.hash) === undefined) this.#takeUpAnything()
        return
      case 'removed':
        if (this.#counts('shared-path', event.hash)) this.#gatherGone()
        return
      case 'missed':
        this.#takeUpAnything()
    }
  }

  #takeUpAnything(): void {
    this.#setBehind(true)
    this.#gatherGone() // what was put anew is to be walked though it bears a mark
  }

  /** The walk that is to come, undefined where too many wait, or none is to come any more. */
  #enqueue(hash: Uint8Array): Promise<void> | undefined {
    const key = encodeNixBase32(hash)
    const known = this.#waiting.get(key)
    if (known !== undefined) return known.walked.promise
    if (this.#waiting.size >= WAITING_WALKS_MAX || this.#stopping.signal.aborted) return undefined
    const waiting = { hash, walked: Promise.withResolvers<void>() }
    this.#waiting.set(key, waiting)
    this.#wake.resolve()
    return waiting.walked.promise
  }

  async #walkWaiting(call: Call): Promise<void> {
    while (!call.signal.aborted) {
      const [first] = this.#waiting
      if (first === undefined) {
        this.#wake = Promise.withResolvers<void>()
        await this.#wake.promise
        continue
      }
      const [key, { hash, walked }] = first
      this.#waiting.delete(key)
      await this.#walk(hash, call)
      walked.resolve()
    }
  }

  /** Walks a path now, or waits for {@link MARKED_MS} at the most. */
  async #hurried(hash: Uint8Array, call: Call): Promise<void> {
    const { clock } = this.#components
    const walked = this.#enqueue(hash)
    if (walked === undefined || clock.now() < this.#hurryUntilMs) return
    try {
      await withDeadline(clock, MARKED_MS, 'walking a path', call, (timed) =>
        unlessAborted(walked, timed.signal),
      )
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error
      this.#hurryUntilMs = clock.now() + MARKED_MS
    }
  }

  #setBehind(isGoingThrough: boolean): void {
    this.#isGoingThrough = isGoingThrough
    if (isGoingThrough) this.#behind.resolve()
  }

  /** Walks all paths that bear no mark: at the start, in a new generation, or after a flood. */
  async #goThrough(call: Call): Promise<void> {
    const { log } = this.#components
    for (;;) {
      await this.#behind.promise
      if (call.signal.aborted) return
      this.#behind = Promise.withResolvers<void>()
      const { generation } = this.#state
      try {
        if (await this.#walkUnmarked(generation, call)) await this.#complete(generation)
      } catch (error) {
        if (!call.signal.aborted) log.error('going through the store failed', { error })
        this.#setBehind(false)
      }
    }
  }

  /** Whether it came to the end before another generation began. */
  async #walkUnmarked(generation: number, call: Call): Promise<boolean> {
    const { pathInfos, marks } = this.#components
    for await (const hash of pathInfos.hashes(call)) {
      if (this.#state.generation !== generation) return false
      const isMarked =
        marks.generationOf('shared-path', hash) >= generation ||
        marks.generationOf('private-path', hash) >= generation
      if (!isMarked) await this.#walk(hash, call)
    }
    return this.#state.generation === generation
  }

  /** From now on the marks of this generation are all that count. */
  async #complete(generation: number): Promise<void> {
    const { marks } = this.#components
    if (this.#state.floor < generation) await this.#setState({ ...this.#state, floor: generation })
    if (this.#hasOld) await marks.dropBefore(generation)
    if (this.#state.generation !== generation) return
    this.#hasOld = false
    this.#setBehind(false)
  }

  /** Looks at a path, and marks all that it reaches if it is shared. Throws nothing. */
  async #walk(hash: Uint8Array, call: Call): Promise<void> {
    const { castore, pathInfos, marks, log } = this.#components
    // Read before the policy is asked: where that changes meanwhile, this number counts no more.
    const { generation } = this.#state
    this.#walking++
    try {
      const pathInfo = await pathInfos.get(hash, call)
      if (pathInfo === undefined) return
      const isShared = this.shares(pathInfo)
      const root = rootMark(pathInfo)
      const isSame = isShared && this.#counts(root.kind, root.key)
      if (!isSame && this.#counts('shared-path', hash)) this.#gatherGone() // it was another
      const marker = new ClosureMarker({ castore, marks }, { generation })
      if (isShared) await marker.mark(pathInfo.node, call)
      const own: Mark = { kind: isShared ? 'shared-path' : 'private-path', key: hash }
      await marks.mark(isShared ? [own, root] : [own], generation)
      const isTold = isShared && this.#counts('shared-path', hash)
      for (const listener of this.#onWalked) listener(hash, isTold)
    } catch (error) {
      const hashText = encodeNixBase32(hash)
      if (!call.signal.aborted)
        log.warn('what a path reaches can not be found', { hashText, error })
    } finally {
      this.#walking--
    }
  }

  /** Begins a new generation once more paths may have gone. */
  #gatherGone(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    const { clock, log } = this.#components
    const call = { signal: this.#stopping.signal }
    const begin = async (): Promise<void> => {
      await clock.sleep(GONE_MS, call)
      this.#isGathering = false
      await this.#beginAnew(this.#state, { forgets: false })
    }
    begin().catch((error) => {
      if (!call.signal.aborted) log.error('a new generation could not begin', { error })
    })
  }

  async #beginAnew(last: MarksState, { forgets }: { readonly forgets: boolean }): Promise<void> {
    const generation = last.generation + 1
    const floor = forgets ? generation : last.floor
    const policy = this.#components.share.fingerprint
    this.#hasOld = true
    this.#setBehind(true)
    await this.#setState({ generation, floor, policy, isClosed: false })
  }

  /** It counts at once, and is on stable storage when this resolves. */
  async #setState(state: MarksState): Promise<void> {
    this.#state = state
    const before = this.#settingState.catch(() => undefined) // whoever set that one is told
    this.#settingState = before.then(() => this.#components.marks.setState(this.#state))
    await this.#settingState
  }
}

function rootMark({ storePath, node }: PathInfo): Mark {
  const { bytes } = Digest.ofContent(Buffer.concat([storePath.hash, encodeRoot(node)]))
  return { kind: 'shared-root', key: bytes }
}
