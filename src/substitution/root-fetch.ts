import type { Castore } from '../castore/castore.ts'
import type { DirectorySource } from '../castore/directory-store.ts'
import type { Node } from '../castore/model/node.ts'
import { type Call, narrowedCall, OVER } from '../foundation/call.ts'
import { type Clock, DeadlineError } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { NarError } from '../nar/nar-error.ts'
import { narSizeOf } from '../nar/nar-size.ts'
import { PathInfoError } from '../pathinfo/path-info-error.ts'
import type { FinalClaim, TrustedNar, TrustPolicy } from '../pathinfo/trust-policy.ts'
import type { FetchProgress } from './fetch-progress.ts'
import { rootCheck } from './nar-check.ts'
import type { RootListener, RootOffer } from './path-source.ts'
import type { SourceWatch } from './source-watch.ts'

/**
 * How long nothing may come of what is below a root that a cache has named, in milliseconds, before
 * its NAR is taken. Longer than a silent peer is waited for, so that others can step in for it.
 */
export const ROOT_STALL_MS = 5_000

/**
 * How fast a path has to come by its root, in bytes of its NAR a second, those that are here
 * already included: about what its cache may be good for. It has {@link ROOT_STALL_MS} at least.
 */
export const ROOT_BYTES_PER_SECOND_MIN = 4 * 1024 * 1024

/** What it works with. */
export interface RootFetchComponents {
  readonly castore: Castore
  readonly trust: TrustPolicy
  readonly sources: readonly SourceWatch[]
  readonly clock: Clock
  readonly log: Log
}

/** What a cache says of a path, and the root that it names for it. */
export interface RootedNar {
  readonly nar: TrustedNar
  readonly root: Node
}

/**
 * Has a path of a cache by the root that the cache names: what is not held comes from whoever is
 * found to have that root. Undefined where nobody is, or it does not come, or not fast enough.
 *
 * Only the NAR hash is signed, so the root may be anything. Its NAR's length is worked out from its
 * Directories before a blob is fetched. Nor is it fetched as part of a swarm: what others have from
 * a swarm is what the share policy says of the path, and a false root would open other content.
 * @throws PathInfoError 'nar-mismatch' where the content is not the path's
 */
export async function fetchByRoot(
  rooted: RootedNar,
  components: RootFetchComponents,
  progress: FetchProgress,
  call: Call,
): Promise<FinalClaim | undefined> {
  const { castore } = components
  if (await isHeld(rooted.root, castore, call)) await checkSize(rooted, castore.directories, call)
  else if (!(await bring(rooted, components, progress, call))) return undefined
  return await rootCheck(rooted, components, call)
}

/** Whether all below a root is here: a Directory is put after all that it refers to. */
async function isHeld(root: Node, { blobs, directories }: Castore, call: Call): Promise<boolean> {
  switch (root.type) {
    case 'symlink':
      return true
    case 'directory':
      return (await directories.get(root.digest, call)) !== undefined
    case 'file':
      return (await blobs.layouts([root.digest], call))[0] !== undefined
  }
}

async function bring(
  rooted: RootedNar,
  { castore, sources, clock, log }: RootFetchComponents,
  progress: FetchProgress,
  call: Call,
): Promise<boolean> {
  const { narSize } = rooted.nar.facts
  const listener: RootListener = {
    progress,
    onDirectories: async (directories) => {
      const closure = async function* () {
        yield* directories
      }
      await checkSize(rooted, { closure }, call)
    },
  }
  const pace = new Pace({ clock, progress }, { narSize })
  for await (const { offer, source } of whoHas(rooted, sources, call)) {
    try {
      const fetch = (timed: Call): Promise<void> => offer.fetch(castore, listener, timed)
      await pace.during(fetch, () => offer.tooSlow?.(), call)
      return true
    } catch (error) {
      call.signal.throwIfAborted()
      if (error instanceof PathInfoError) throw error
      if (error instanceof DeadlineError) source.restRoots(error)
      log.debug('a root did not come', { source: source.name, error })
    }
  }
  return false
}

/** Asks all sources at once, and yields who has it as they answer. */
async function* whoHas(
  { nar, root }: RootedNar,
  sources: readonly SourceWatch[],
  call: Call,
): AsyncGenerator<{ readonly offer: RootOffer; readonly source: SourceWatch }> {
  const over = new AbortController()
  const inner = narrowedCall(call, over.signal)
  const ask = async (source: SourceWatch) => ({
    source,
    offer: await source.findRoot(root, nar.facts.narSize, inner),
  })
  const asked = new Map(sources.map((source) => [source, ask(source)]))
  for (const answer of asked.values()) answer.catch(() => undefined) // raced below, or not needed
  try {
    while (asked.size > 0) {
      const { source, offer } = await Promise.race(asked.values())
      asked.delete(source)
      if (offer !== undefined) yield { source, offer }
    }
  } finally {
    over.abort(OVER)
  }
}

/** A root whose NAR has another length can be told before its content is here. */
async function checkSize(
  { nar, root }: RootedNar,
  directories: Pick<DirectorySource, 'closure'>,
  call: Call,
): Promise<void> {
  const { narSize, storePath } = nar.facts
  const said = await narSizeOf(root, directories, call).catch((error) => {
    if (error instanceof NarError && 'offset' in error.fault) return error
    throw error
  })
  if (said === narSize) return
  const flaw = said instanceof NarError ? said.message : `${said} bytes, and not ${narSize}`
  const what = `the root that is named for ${storePath} is of another NAR: ${flaw}`
  throw new PathInfoError({ code: 'nar-mismatch', storePath: storePath.toString() }, what)
}

type CameBefore = Pick<FetchProgress, 'bytesFetched' | 'directoriesFetched'>

/**
 * Ends work that brings nothing for a while, that takes too long altogether, or that will at the
 * pace that it has.
 */
class Pace {
  readonly #clock: Clock
  readonly #progress: FetchProgress
  readonly #untilMs: number

  constructor(
    components: { clock: Clock; progress: FetchProgress },
    { narSize }: { readonly narSize: number },
  ) {
    this.#clock = components.clock
    this.#progress = components.progress
    const allMs = (1000 * narSize) / ROOT_BYTES_PER_SECOND_MIN
    this.#untilMs = components.clock.now() + Math.max(ROOT_STALL_MS, allMs)
  }

  /** @throws DeadlineError, once `onSlow` is told; or as the work */
  async during(
    work: (timed: Call) => Promise<void>,
    onSlow: () => void,
    call: Call,
  ): Promise<void> {
    const over = new AbortController()
    const tooSlow = new AbortController()
    tooSlow.signal.addEventListener('abort', onSlow, { once: true }) // before the work hears of it
    const watching = this.#watch(tooSlow, over).catch(() => undefined) // cut short below
    try {
      await work(narrowedCall(call, tooSlow.signal))
    } finally {
      over.abort(OVER)
      await watching
    }
  }

  async #watch(tooSlow: AbortController, call: Call): Promise<void> {
    for (;;) {
      const { bytesFetched, directoriesFetched } = this.#progress
      const before = { bytesFetched, directoriesFetched }
      const waitMs = Math.min(ROOT_STALL_MS, Math.max(0, this.#untilMs - this.#clock.now()))
      await this.#clock.sleep(waitMs, call)
      if (this.#isInTime(before, waitMs)) continue
      tooSlow.abort(new DeadlineError('fetching by the root that a cache named', waitMs))
      return
    }
  }

  /** Whether what came in the last milliseconds leads to an end in time. */
  #isInTime(before: CameBefore, ms: number): boolean {
    const { bytesTotal, bytesDone, bytesFetched, directoriesFetched } = this.#progress
    const leftMs = this.#untilMs - this.#clock.now()
    if (leftMs <= 0) return false
    // While Directories come nobody knows how much is missing.
    if (directoriesFetched > before.directoriesFetched) return true
    const came = bytesFetched - before.bytesFetched
    return bytesTotal > 0 && came * leftMs >= (bytesTotal - bytesDone) * ms
  }
}
