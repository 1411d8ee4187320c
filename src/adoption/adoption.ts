import { join } from 'node:path'
import type { Castore } from '../castore/castore.ts'
import type { Leases } from '../castore/leases.ts'
import type { RecordStore } from '../castore/record-store.ts'
import { equalBytes } from '../foundation/bytes.ts'
import { type Call, unhurriedCall } from '../foundation/call.ts'
import type { Log } from '../foundation/log.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import { STORE_DIRECTORY, StorePath } from '../nix/store-path.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import type { TrustPolicy } from '../pathinfo/trust-policy.ts'
import type { OwnerIntake } from '../substitution/owner-intake.ts'
import { adoptTree } from './adopt-tree.ts'
import { AdoptedBlobs } from './adopted-blobs.ts'
import { AdoptionError } from './adoption-error.ts'
import { NixDatabase, type ValidPath } from './nix-database.ts'
import type { StoreFiles } from './store-files.ts'

/** Nix's database, below the root of its store. */
const DATABASE = 'nix/var/nix/db/db.sqlite'

/** Which paths are adopted: those that are named, or all, or those that a trusted key signed. */
export type Selection =
  | readonly StorePath[]
  | {
      readonly which: 'all' | 'signed'
      /** Only those that were added after the one with this id; all by default. */
      readonly after?: number
    }

/** What came of a path. */
export interface AdoptedPath {
  readonly storePath: string
  /** It was here before. */
  readonly held: boolean
  readonly narSize: number
  /** Why it was not adopted; undefined where it is here now. */
  readonly error?: string
}

/** How far adopting has got; `path` is the one that has just come to its end. */
export interface AdoptionStep {
  readonly done: number
  readonly total: number
  readonly bytes: number
  readonly path?: AdoptedPath
}

/** What adoption works with. */
export interface AdoptionComponents {
  readonly records: RecordStore
  readonly castore: Castore
  readonly pathInfos: LocalPathInfoStore
  readonly trust: TrustPolicy
  readonly intake: OwnerIntake
  readonly files: StoreFiles
  readonly leases: Leases
  readonly log: Log
}

/** How adoption goes about it. */
export interface AdoptionInit {
  /** Where the machine's own store is, `/nix/store` below it; `/` by default. */
  readonly root?: string | undefined
}

/**
 * Takes in paths of the machine's own /nix/store where they lie, with the signatures, references
 * and derivers that Nix knows. Nothing is copied. Before a path counts, its NAR must be what Nix's
 * database says. One whose files change or go is let go of as soon as that is noticed.
 */
export class Adoption {
  readonly #components: AdoptionComponents
  readonly #root: string
  readonly #turn = new Semaphore(1)
  #letting: Promise<unknown> = Promise.resolve()

  constructor(components: AdoptionComponents, init: AdoptionInit = {}) {
    this.#components = components
    this.#root = init.root ?? '/'
    components.files.onLost((path) => this.#onLost(path))
  }

  /** Nix's database. @throws AdoptionError 'no-database' */
  openDatabase(): NixDatabase {
    return new NixDatabase(join(this.#root, DATABASE))
  }

  /**
   * Adopts paths, each for itself: what fails is told, and the others go on. With `sign` the node's
   * own key signs them. @throws AdoptionError 'no-database'
   */
  async *adopt(
    selection: Selection,
    init: { readonly sign: boolean },
    call: Call,
  ): AsyncGenerator<AdoptionStep> {
    using database = this.openDatabase()
    using _turn = await this.#turn.acquire(1, call)
    const paths = this.#selected(selection, database)
    let [done, bytes] = [0, 0]
    yield { done, total: paths.length, bytes }
    for (const path of paths) {
      call.signal.throwIfAborted()
      const adopted = await this.#tryOne(path, init, database, call)
      done++
      bytes += adopted.error === undefined && !adopted.held ? adopted.narSize : 0
      yield { done, total: paths.length, bytes, path: adopted }
    }
  }

  /** Lets go of adopted paths that Nix does not know any more; says how many. */
  async letGoOfInvalid(database: NixDatabase, call: Call): Promise<number> {
    const { records, pathInfos } = this.#components
    const gone: Uint8Array[] = []
    for await (const hash of records.keys('adopted', call)) {
      const pathInfo = await pathInfos.get(hash, call)
      if (pathInfo === undefined || !database.has(pathInfo.storePath)) gone.push(hash)
    }
    if (gone.length > 0) await this.#letGo(gone, call)
    return gone.length
  }

  /** Resolves once all is let go of that was found to be lost. */
  async settled(): Promise<void> {
    await this.#letting
  }

  #selected(selection: Selection, database: NixDatabase): (StorePath | ValidPath)[] {
    if (!('which' in selection)) return [...selection]
    const keys = new Set(this.#components.trust.trustedKeys.map(({ name }) => name))
    const isWanted = ({ signatures }: ValidPath): boolean =>
      selection.which === 'all' || signatures.some(({ name }) => keys.has(name))
    return [...database.after(selection.after ?? 0)].filter(isWanted)
  }

  async #tryOne(
    path: StorePath | ValidPath,
    init: { readonly sign: boolean },
    database: NixDatabase,
    call: Call,
  ): Promise<AdoptedPath> {
    const storePath = path instanceof StorePath ? path : path.storePath
    try {
      const valid = path instanceof StorePath ? database.get(path) : path
      if (valid === undefined) {
        const what = `${storePath} is no valid path of this machine's store`
        throw new AdoptionError({ code: 'not-valid', storePath: storePath.toString() }, what)
      }
      return await this.one(valid, init, call)
    } catch (error) {
      call.signal.throwIfAborted()
      this.#components.log.warn('path not adopted', { storePath, error })
      const words = error instanceof Error ? error.message : String(error)
      return { storePath: storePath.toString(), held: false, narSize: 0, error: words }
    }
  }

  /** Adopts one path, unless it is here already. @throws AdoptionError 'changed' */
  async one(path: ValidPath, init: { readonly sign: boolean }, call: Call): Promise<AdoptedPath> {
    const { records, castore, pathInfos, intake, leases } = this.#components
    const { storePath, narSize, narSha256 } = path
    const told = { storePath: storePath.toString(), narSize }
    if ((await pathInfos.get(storePath.hash, call)) !== undefined) return { ...told, held: true }
    using _lease = leases.begin()
    const place = Buffer.from(join(this.#root, storePath.toString()))
    const parts = { blobs: new AdoptedBlobs({ records }), directories: castore.directories }
    const tree = await adoptTree(parts, place, call)
    if (tree === undefined || !equalBytes(tree.narSha256, narSha256)) {
      const what = `what lies at ${storePath} is not what Nix's database says`
      throw new AdoptionError({ code: 'changed', storePath: told.storePath }, what)
    }
    await records.put('adopted', [{ key: storePath.hash, bytes: new Uint8Array(0) }], call)
    const { id: _id, ...fields } = path
    await intake.take({ ...fields, node: tree.node, narSize: tree.narSize }, call, init)
    return { ...told, narSize: tree.narSize, held: false }
  }

  /** A file of an adopted path is gone, or another one: the whole path is. */
  #onLost(path: Buffer): void {
    const name = path.toString('latin1').split(`${STORE_DIRECTORY}/`)[1]?.split('/')[0]
    if (name === undefined) return
    const letting = async (): Promise<void> => {
      const { hash } = StorePath.parseBaseName(name)
      await this.#letGo([hash], unhurriedCall())
    }
    const gone = letting().catch((error) => {
      this.#components.log.warn('a lost path could not be let go of', { name, error })
    })
    this.#letting = Promise.all([this.#letting, gone])
  }

  async #letGo(hashes: readonly Uint8Array[], call: Call): Promise<void> {
    const { records, pathInfos, log } = this.#components
    const adopted = await records.sizes('adopted', hashes, call)
    const ours = hashes.filter((_, i) => adopted[i] !== undefined)
    if (ours.length === 0) return
    await pathInfos.remove(ours, call)
    await records.remove(
      ours.map((key) => ({ kind: 'adopted', key }) as const),
      call,
    )
    log.info('adopted paths are gone from the store', { paths: ours.length })
  }
}
