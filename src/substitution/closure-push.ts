import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Random } from '../foundation/random.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import { StorePath } from '../nix/store-path.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { PathInfoSource } from '../pathinfo/path-info-store.ts'
import type { Publish, PushTarget } from './push-target.ts'

/** How many paths are uploaded at once. */
export const UPLOADS_AT_ONCE = 8

/** How many times something is tried before it counts as failed. */
export const PUSH_ATTEMPTS = 4

/** The wait before something is tried again, in milliseconds; twice as long each further time. */
export const PUSH_RETRY_MS = 500

/** How many paths the target is asked about in one question. */
const ASKED_AT_ONCE = 256

/** What a push works with. */
export interface ClosurePushComponents {
  readonly pathInfos: PathInfoSource
  readonly target: PushTarget
  readonly clock: Clock
  readonly random: Random
}

/** What became of one path. */
export interface PushOutcome {
  readonly storePath: StorePath
  /** It was there before. */
  readonly held: boolean
  /** Why it is not there now; undefined where it is. */
  readonly error?: unknown
}

/** How far a push has got. */
export interface PushProgress {
  readonly pathsTotal: number
  readonly pathsDone: number
  /** Bytes of the NARs of all paths that were not there. */
  readonly bytesTotal: number
  readonly bytesDone: number
}

/**
 * Pushes store paths and what they refer to: only what is missing over there, several at once, and
 * in the order that readers need: a path is told of once its content is there, and all that it
 * refers to is told of. What has gone there stays when something fails: the next push goes on.
 */
export class ClosurePush {
  readonly #components: ClosurePushComponents
  readonly #room = new Semaphore(UPLOADS_AT_ONCE)
  #pathsTotal = 0
  #pathsDone = 0
  #bytesTotal = 0
  #bytesDone = 0

  constructor(components: ClosurePushComponents) {
    this.#components = components
  }

  get progress(): PushProgress {
    return {
      pathsTotal: this.#pathsTotal,
      pathsDone: this.#pathsDone,
      bytesTotal: this.#bytesTotal,
      bytesDone: this.#bytesDone,
    }
  }

  /** Resolves when every path has come to its end; each is told to `onOutcome`. */
  async run(
    storePaths: readonly StorePath[],
    onOutcome: (outcome: PushOutcome) => void,
    call: Call,
  ): Promise<void> {
    const done = (outcome: PushOutcome): void => {
      this.#pathsDone++
      onOutcome(outcome)
    }
    const closure = await this.#closureOf(storePaths, call)
    this.#pathsTotal = closure.size
    const held = await this.#heldThere([...closure.keys()], call)
    const missing = new Map<string, PathInfo>()
    for (const [name, { storePath, pathInfo }] of closure) {
      if (held.has(name)) done({ storePath, held: true })
      else if (pathInfo !== undefined) missing.set(name, pathInfo)
      else done({ storePath, held: false, error: new Error(`${storePath} is not held here`) })
    }
    checkOrder(missing)
    for (const { narSize } of missing.values()) this.#bytesTotal += narSize
    const published = new Map<string, Promise<boolean>>()
    const publish = (pathInfo: PathInfo): Promise<boolean> => {
      const name = pathInfo.storePath.baseName
      const begun = published.get(name)
      if (begun !== undefined) return begun
      const { promise, resolve } = Promise.withResolvers<boolean>()
      published.set(name, promise)
      void this.#pushOne(pathInfo, { held, missing, publish }, call).then((error) => {
        done({ storePath: pathInfo.storePath, held: false, ...(error && { error: error.cause }) })
        resolve(error === undefined)
      })
      return promise
    }
    await Promise.all([...missing.values()].map(publish))
    call.signal.throwIfAborted()
  }

  /** What came of it: nothing where it is there now, or why it is not. Never throws. */
  async #pushOne(
    pathInfo: PathInfo,
    others: {
      readonly held: ReadonlySet<string>
      readonly missing: ReadonlyMap<string, PathInfo>
      readonly publish: (pathInfo: PathInfo) => Promise<boolean>
    },
    call: Call,
  ): Promise<{ readonly cause: unknown } | undefined> {
    const { storePath, references } = pathInfo
    try {
      const publish = await this.#upload(pathInfo, call)
      for (const reference of references) {
        if (reference.baseName === storePath.baseName || others.held.has(reference.baseName))
          continue
        const other = others.missing.get(reference.baseName)
        const isThere = other !== undefined && (await others.publish(other))
        if (!isThere) throw new Error(`${reference}, which it refers to, is not there`)
      }
      await this.#persistently((again) => publish(again), call)
      return undefined
    } catch (cause) {
      return { cause }
    }
  }

  async #upload(pathInfo: PathInfo, call: Call): Promise<Publish> {
    using _room = await this.#room.acquire(1, call)
    const before = { counted: 0 }
    const publish = await this.#persistently(async (again) => {
      this.#bytesDone -= before.counted
      before.counted = 0
      const onBytes = (bytes: number): void => {
        before.counted += bytes
        this.#bytesDone += bytes
      }
      return await this.#components.target.upload(pathInfo, onBytes, again)
    }, call)
    this.#bytesDone += pathInfo.narSize - before.counted // what needed not go
    return publish
  }

  /** Tries again what may have failed by chance. */
  async #persistently<T>(work: (call: Call) => Promise<T>, call: Call): Promise<T> {
    const { clock, random, target } = this.#components
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(call)
      } catch (error) {
        const isLast = attempt >= PUSH_ATTEMPTS || target.isFinal(error)
        if (call.signal.aborted || isLast) throw error
        const waitMs = PUSH_RETRY_MS * 2 ** (attempt - 1)
        await clock.sleep(waitMs / 2 + random.integer(waitMs), call)
      }
    }
  }

  /** All paths that are reached, by their names; those without a PathInfo are not held here. */
  async #closureOf(storePaths: readonly StorePath[], call: Call) {
    const closure = new Map<
      string,
      { readonly storePath: StorePath; readonly pathInfo: PathInfo | undefined }
    >()
    let next = [...storePaths]
    while (next.length > 0) {
      const level = next.filter((it) => !closure.has(it.baseName))
      next = []
      for (const storePath of level) {
        if (closure.has(storePath.baseName)) continue
        const pathInfo = await this.#components.pathInfos.get(storePath.hash, call)
        closure.set(storePath.baseName, { storePath, pathInfo })
        if (pathInfo !== undefined) next.push(...pathInfo.references)
      }
    }
    // Those that others refer to come first, as far as the order in which they were found tells.
    return new Map([...closure].reverse())
  }

  async #heldThere(names: readonly string[], call: Call): Promise<ReadonlySet<string>> {
    const held = new Set<string>()
    for (let at = 0; at < names.length; at += ASKED_AT_ONCE) {
      const asked = names.slice(at, at + ASKED_AT_ONCE)
      const answers = await this.#persistently(
        (again) => this.#components.target.holds(asked.map(StorePath.parseBaseName), again),
        call,
      )
      for (const [i, name] of asked.entries()) if (answers[i] === true) held.add(name)
    }
    return held
  }
}

/** @throws Error where paths refer to each other in a circle, as no builder can make them */
function checkOrder(paths: ReadonlyMap<string, PathInfo>): void {
  const left = new Map([...paths].map(([name, { references }]) => [name, references]))
  for (let before = -1; before !== left.size; ) {
    before = left.size
    for (const [name, references] of left) {
      if (references.some((it) => it.baseName !== name && left.has(it.baseName))) continue
      left.delete(name)
    }
  }
  const [circular] = left.keys()
  if (circular === undefined) return
  throw new Error(`${circular} refers to itself by way of other paths: that can not be pushed`)
}
