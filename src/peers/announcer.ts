import { Allowance } from '../foundation/allowance.ts'
import type { Call } from '../foundation/call.ts'
import { type Clock, withDeadline } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { SharePolicy } from '../pathinfo/share-policy.ts'
import type { Router } from './routing/router.ts'
import { directoryKey, pathKey } from './routing/routing-key.ts'

/** How many keys are being announced at once. */
export const ANNOUNCEMENTS_AT_ONCE = 4

/** How many announcements may go out in one burst after a quiet time. */
export const ANNOUNCEMENTS_BURST = 512

/**
 * How many announcements go out in a second from then on. Each is a lookup of its own, and whoever
 * puts paths in without end shall not have the node do nothing else.
 */
export const ANNOUNCEMENTS_PER_SECOND = 4

/** How many keys wait to be announced; beyond that the store is gone through again later. */
export const WAITING_KEYS_MAX = 16_384

/** How long one announcement may take. */
export const ANNOUNCEMENT_MS = 30_000

/** The wait before what could not be announced is tried again. */
export const RETRY_MS = 10_000

/** What the announcer works with. */
export interface AnnouncerComponents {
  readonly router: Router
  readonly pathInfos: LocalPathInfoStore
  readonly share: Pick<SharePolicy, 'shares'>
  readonly clock: Clock
  readonly log: Log
}

/**
 * Tells the network which shared paths are held here: all of them at the start, and each that is
 * put from then on. Nobody else knows that announcing exists; nothing is announced before it is
 * stored.
 */
export class Announcer implements Service {
  readonly name = 'announcer'
  readonly #components: AnnouncerComponents
  readonly #stopping = new AbortController()
  readonly #allowance: Allowance
  /** Keys to be announced, by their hexadecimal form; a Map for its order. */
  readonly #queue = new Map<string, Uint8Array>()
  readonly #waitingMax: number
  #wake = Promise.withResolvers<void>()
  #room = Promise.withResolvers<void>()
  #work: Promise<unknown> = Promise.resolve()
  #announced = 0
  #underWay = 0
  /** Some paths found no room: the store is to be gone through. */
  #behind = Promise.withResolvers<void>()

  constructor(components: AnnouncerComponents, init: { waitingMax?: number } = {}) {
    this.#components = components
    this.#waitingMax = init.waitingMax ?? WAITING_KEYS_MAX
    const rate = { burst: ANNOUNCEMENTS_BURST, perSecond: ANNOUNCEMENTS_PER_SECOND }
    this.#allowance = new Allowance(components, rate)
  }

  /** How many announcements went out, and how many wait or are under way. */
  get progress(): { readonly announced: number; readonly waiting: number } {
    return { announced: this.#announced, waiting: this.#queue.size + this.#underWay }
  }

  async start(): Promise<void> {
    const call = { signal: this.#stopping.signal }
    const workers = Array.from({ length: ANNOUNCEMENTS_AT_ONCE }, () => this.#announce(call))
    this.#behind.resolve()
    this.#work = Promise.all([this.#follow(call), this.#goThrough(call), ...workers])
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    for (const waiting of [this.#wake, this.#room, this.#behind]) waiting.resolve()
    await this.#work
  }

  /** Takes up each path that comes. */
  async #follow(call: Call): Promise<void> {
    const { pathInfos, log } = this.#components
    try {
      for await (const event of pathInfos.changes(call)) {
        const isTaken = event.type === 'put' && this.#hasRoom
        if (isTaken) await this.#take(event.pathInfo, call)
        else if (event.type === 'removed') await this.#takeBack([pathKey(event.hash)], call)
        else this.#behind.resolve()
      }
    } catch (error) {
      if (!call.signal.aborted) log.error('watching the store failed', { error })
    }
  }

  /** Goes through the whole store at the start, and whenever paths came that found no room. */
  async #goThrough(call: Call): Promise<void> {
    const { pathInfos, log } = this.#components
    while (!call.signal.aborted) {
      await this.#behind.promise
      this.#behind = Promise.withResolvers<void>()
      try {
        for await (const pathInfo of pathInfos.list(call)) {
          while (!this.#hasRoom && !call.signal.aborted) await this.#room.promise
          await this.#take(pathInfo, call)
        }
      } catch (error) {
        if (!call.signal.aborted) log.error('going through the store failed', { error })
      }
    }
  }

  get #hasRoom(): boolean {
    return this.#queue.size < this.#waitingMax
  }

  /** Announces a path that is shared, and takes back what was said of one that is not any more. */
  async #take(pathInfo: PathInfo, call: Call): Promise<void> {
    const { storePath, node } = pathInfo
    const keys = [pathKey(storePath.hash)]
    if (node.type === 'directory') keys.push(directoryKey(node.digest))
    if (!this.#components.share.shares(pathInfo)) return await this.#takeBack(keys, call)
    for (const key of keys) this.#queue.set(hexOf(key), key)
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }

  async #takeBack(keys: readonly Uint8Array[], call: Call): Promise<void> {
    const { router, log } = this.#components
    for (const key of keys) {
      this.#queue.delete(hexOf(key))
      await router.withdraw(key, call).catch((error) => {
        log.debug('announcement could not be taken back', { error })
      })
    }
  }

  async #announce(call: Call): Promise<void> {
    const { router, clock, log } = this.#components
    while (!call.signal.aborted) {
      const [next] = this.#queue
      if (next === undefined) {
        await this.#wake.promise
        continue
      }
      if (!this.#allowance.take()) {
        await clock.sleep(1000 / ANNOUNCEMENTS_PER_SECOND, call).catch(() => undefined) // stopping
        continue
      }
      const [hex, key] = next
      this.#queue.delete(hex)
      this.#room.resolve()
      this.#room = Promise.withResolvers<void>()
      this.#underWay++
      try {
        await withDeadline(clock, ANNOUNCEMENT_MS, 'announcing', call, (timed) =>
          router.announce(key, timed),
        )
        this.#announced++
      } catch (error) {
        if (call.signal.aborted) return
        log.debug('announcement failed', { error })
        this.#queue.set(hex, key)
        await clock.sleep(RETRY_MS, call).catch(() => undefined) // stopping
      } finally {
        this.#underWay--
      }
    }
  }
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}
