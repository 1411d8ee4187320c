import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import type { Adoption } from './adoption.ts'
import type { NixDatabase } from './nix-database.ts'

/** How often it is looked whether Nix has added or removed paths, in milliseconds. */
export const FOLLOW_MS = 3_000

/** How often it is looked whether there is a database, where there is none, in milliseconds. */
export const NO_DATABASE_MS = 60_000

type Extent = ReturnType<NixDatabase['extent']>

/** Adopts what Nix adds to the machine's own store as it comes, and lets go of what it removes. */
export class StoreFollower implements Service {
  readonly name = 'store follower'
  readonly #components: { readonly adoption: Adoption; readonly clock: Clock; readonly log: Log }
  readonly #which: 'all' | 'signed'
  readonly #stopping = new AbortController()
  #work: Promise<void> = Promise.resolve()

  constructor(
    components: { readonly adoption: Adoption; readonly clock: Clock; readonly log: Log },
    init: { readonly which: 'all' | 'signed' },
  ) {
    this.#components = components
    this.#which = init.which
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
    let seen = { paths: 0, lastId: 0 }
    let isTold = false
    while (!call.signal.aborted) {
      let waitMs = FOLLOW_MS
      try {
        seen = await this.#adoptChanges(seen, call)
        isTold = false
      } catch (error) {
        if (call.signal.aborted) return
        if (!isTold) log.warn("the machine's store can not be followed", { error })
        isTold = true
        waitMs = NO_DATABASE_MS
      }
      await clock.sleep(waitMs, call).catch(() => undefined) // stopping
    }
  }

  /** Does what is to be done since the database was as `seen`; says how it is now. */
  async #adoptChanges(seen: Extent, call: Call): Promise<Extent> {
    const { adoption, log } = this.#components
    using database = adoption.openDatabase()
    const now = database.extent()
    if (now.paths === seen.paths && now.lastId === seen.lastId) return now
    let adopted = 0
    const selection = { which: this.#which, after: seen.lastId }
    for await (const { path } of adoption.adopt(selection, { sign: false }, call)) {
      if (path !== undefined && !path.held && path.error === undefined) adopted++
    }
    if (adopted > 0) log.info('paths of the store adopted', { paths: adopted })
    await adoption.letGoOfInvalid(database, call)
    return now
  }
}
