import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Random } from '../foundation/random.ts'
import type { Service } from '../foundation/service.ts'
import { waitUpTo } from '../foundation/wait-up-to.ts'
import type { StorePath } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { PushTargets } from '../rpc/push-calls.ts'
import { ClosurePush, type PushOutcome } from '../substitution/closure-push.ts'

/** The wait before what could not be mirrored is tried again, in milliseconds. */
export const MIRROR_RETRY_MS = 60_000

/** How often it is looked for what is new, where nothing else wakes the mirror, in milliseconds. */
export const MIRROR_LOOK_MS = 3_600_000

/** For how long paths gather that come one after another, in milliseconds. */
export const MIRROR_GATHER_MS = 500

/** What a mirror works with. */
export interface MirrorComponents {
  readonly pathInfos: LocalPathInfoStore
  readonly targets: PushTargets
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** What is mirrored where. */
export interface MirrorInit {
  /** The URL of a cache or store. */
  readonly to: string
  /** How NARs are compressed there. */
  readonly compression: string
  /** The name of the node's own key: what it signed is mirrored, with all that this refers to. */
  readonly keyName: string
}

/**
 * Pushes what the node signs to a cache, in the background. What can not go there now goes later,
 * after a restart too: the store itself says what is to be there.
 */
export class Mirror implements Service {
  readonly name = 'mirror'
  readonly #components: MirrorComponents
  readonly #init: MirrorInit
  readonly #stopping = new AbortController()
  /** Paths that are not known to be there, by their names. */
  readonly #waiting = new Map<string, StorePath>()
  #isBehind = true
  #woken = Promise.withResolvers<void>()
  #work: Promise<unknown> = Promise.resolve()

  constructor(components: MirrorComponents, init: MirrorInit) {
    this.#components = components
    this.#init = init
  }

  async start(): Promise<void> {
    const call = { signal: this.#stopping.signal }
    const { log } = this.#components
    this.#work = Promise.all(
      [this.#follow(call), this.#run(call)].map((part) =>
        part.catch((error) => {
          if (!call.signal.aborted) log.error('mirroring ended', { error })
        }),
      ),
    )
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#work
  }

  async #follow(call: Call): Promise<void> {
    for await (const event of this.#components.pathInfos.changes(call)) {
      if (event.type === 'put') this.#take(event.pathInfo)
      else if (event.type === 'missed') this.#isBehind = true
      if (event.type !== 'removed') this.#woken.resolve()
    }
  }

  #take({ storePath, signatures }: PathInfo): void {
    const isOwn = signatures.some(({ name }) => name === this.#init.keyName)
    if (isOwn) this.#waiting.set(storePath.baseName, storePath)
  }

  async #run(call: Call): Promise<void> {
    const { clock, log } = this.#components
    while (!call.signal.aborted) {
      this.#woken = Promise.withResolvers()
      let isWhole = true
      try {
        if (this.#isBehind) await this.#lookThrough(call)
        isWhole = await this.#push(call)
      } catch (error) {
        call.signal.throwIfAborted()
        isWhole = false
        log.warn('what is signed here can not be mirrored now', { to: this.#init.to, error })
      }
      const restMs = isWhole ? MIRROR_LOOK_MS : MIRROR_RETRY_MS
      await waitUpTo(clock, restMs, isWhole ? this.#woken.promise : clock.sleep(restMs, call), call)
      await clock.sleep(MIRROR_GATHER_MS, call)
    }
  }

  async #lookThrough(call: Call): Promise<void> {
    this.#isBehind = false
    for await (const pathInfo of this.#components.pathInfos.list(call)) this.#take(pathInfo)
  }

  /** Says whether all is there now. */
  async #push(call: Call): Promise<boolean> {
    if (this.#waiting.size === 0) return true
    const { targets, log } = this.#components
    const { to, compression } = this.#init
    await using target = await targets.open(to, { compression })
    const push = new ClosurePush({ ...this.#components, target })
    let [pushed, failed] = [0, 0]
    let lastError: unknown
    const onOutcome = ({ storePath, held, error }: PushOutcome): void => {
      if (error === undefined) {
        this.#waiting.delete(storePath.baseName)
        if (!held) pushed++
      } else {
        failed++
        lastError = error
      }
    }
    await push.run([...this.#waiting.values()], onOutcome, call)
    if (pushed > 0) log.info('signed paths mirrored', { to: target.name, paths: pushed })
    if (failed > 0) log.warn('paths are not mirrored yet', { paths: failed, error: lastError })
    return failed === 0
  }
}
