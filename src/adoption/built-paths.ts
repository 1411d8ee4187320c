import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { type DroppedNote, droppedNotes, removeNote } from '../foundation/drop-box.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { NixError } from '../nix/nix-error.ts'
import { StorePath } from '../nix/store-path.ts'
import type { Adoption } from './adoption.ts'

/** How often it is looked whether something was built, in milliseconds. */
export const BUILT_LOOK_MS = 1_000

/** The wait before what could not be adopted is tried again, in milliseconds. */
export const BUILT_RETRY_MS = 60_000

/** How often something is tried before it is given up. */
export const BUILT_ATTEMPTS = 5

/**
 * Adopts and signs what Nix has built, as the notes of its post-build hook say. The hook leaves
 * them in a directory and is gone, so that no build waits for the node, and none is lost while it
 * is down.
 */
export class BuiltPaths implements Service {
  readonly name = 'built paths'
  readonly #components: { readonly adoption: Adoption; readonly clock: Clock; readonly log: Log }
  readonly #directory: string
  readonly #stopping = new AbortController()
  /** What failed, how often, and when it is tried again, by the names of the notes. */
  readonly #failed = new Map<string, { readonly times: number; readonly untilMs: number }>()
  #work: Promise<void> = Promise.resolve()

  constructor(
    components: { readonly adoption: Adoption; readonly clock: Clock; readonly log: Log },
    init: { readonly directory: string },
  ) {
    this.#components = components
    this.#directory = init.directory
  }

  async start(): Promise<void> {
    this.#work = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#work
  }

  async #follow(): Promise<void> {
    const { clock, log } = this.#components
    const call = { signal: this.#stopping.signal }
    while (!call.signal.aborted) {
      try {
        for (const note of await droppedNotes(this.#directory)) await this.#take(note, call)
      } catch (error) {
        if (!call.signal.aborted) log.error('what was built can not be read', { error })
      }
      await clock.sleep(BUILT_LOOK_MS, call).catch(() => undefined) // stopping
    }
  }

  async #take({ name, text }: DroppedNote, call: Call): Promise<void> {
    const { clock, log } = this.#components
    const failed = this.#failed.get(name)
    if (failed !== undefined && failed.untilMs > clock.now()) return
    const errors = await this.#adopt(text, call)
    const times = (failed?.times ?? 0) + 1
    if (errors.length > 0 && times < BUILT_ATTEMPTS) {
      this.#failed.set(name, { times, untilMs: clock.now() + BUILT_RETRY_MS })
      log.warn('what was built is not adopted yet', { errors })
      return
    }
    if (errors.length > 0) log.error('what was built is given up', { errors })
    this.#failed.delete(name)
    await removeNote(this.#directory, name)
  }

  /** Says what went wrong, path by path. */
  async #adopt(text: string, call: Call): Promise<readonly string[]> {
    const { adoption, log } = this.#components
    const errors: string[] = []
    const paths: StorePath[] = []
    for (const word of text.split(/\s+/).filter((it) => it !== '')) {
      try {
        paths.push(StorePath.parse(word))
      } catch (error) {
        if (!(error instanceof NixError)) throw error
        log.error('the post-build hook named no store path', { error }) // and never will
      }
    }
    if (paths.length === 0) return errors
    try {
      using database = adoption.openDatabase()
      // Some versions of Nix tell their hook of the derivation alone.
      const built = paths.flatMap((path) =>
        path.name.endsWith('.drv') ? database.outputsOf(path) : [path],
      )
      for await (const { path } of adoption.adopt(built, { sign: true }, call)) {
        if (path?.error !== undefined) errors.push(`${path.storePath}: ${path.error}`)
        else if (path !== undefined) log.info('built path adopted', { storePath: path.storePath })
      }
    } catch (error) {
      call.signal.throwIfAborted()
      errors.push(error instanceof Error ? error.message : String(error))
    }
    return errors
  }
}
