import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { parseNixHash } from '../nix/nix-hash.ts'
import { parseSignature, type Signature } from '../nix/signature.ts'
import { StorePath } from '../nix/store-path.ts'
import { AdoptionError } from './adoption-error.ts'

/** How long a question waits while Nix writes, in milliseconds. */
const BUSY_MS = 5_000

/** How many paths are asked for at once. */
const PAGE_PATHS = 1024

/** What Nix knows of a valid path. */
export interface ValidPath {
  /** Rises with each path that Nix adds. */
  readonly id: number
  readonly storePath: StorePath
  readonly narSha256: Uint8Array
  readonly narSize: number
  readonly references: readonly StorePath[]
  readonly deriver: StorePath | undefined
  readonly ca: string | undefined
  readonly signatures: readonly Signature[]
}

interface Row {
  readonly id: number
  readonly path: string
  readonly hash: string
  readonly narSize: number | null
  readonly deriver: string | null
  readonly sigs: string | null
  readonly ca: string | null
}

const COLUMNS = 'id, path, hash, narSize, deriver, sigs, ca'

/** Nix's own database of valid paths (schema 10, of Nix 2.0 and later), which is only ever read. */
export class NixDatabase implements Disposable {
  readonly #database: DatabaseSync
  readonly #byPath: StatementSync
  readonly #after: StatementSync
  readonly #references: StatementSync
  readonly #extent: StatementSync
  readonly #outputs: StatementSync

  /** @throws AdoptionError 'no-database' */
  constructor(path: string) {
    try {
      this.#database = opened(path)
      this.#byPath = this.#database.prepare(`SELECT ${COLUMNS} FROM ValidPaths WHERE path = ?`)
      this.#after = this.#database.prepare(
        `SELECT ${COLUMNS} FROM ValidPaths WHERE id > ? ORDER BY id LIMIT ${PAGE_PATHS}`,
      )
      this.#references = this.#database.prepare(
        'SELECT path FROM Refs JOIN ValidPaths ON reference = id WHERE referrer = ?',
      )
      this.#outputs = this.#database.prepare(
        'SELECT o.path FROM DerivationOutputs o JOIN ValidPaths v ON o.drv = v.id WHERE v.path = ?',
      )
      this.#extent = this.#database.prepare(
        'SELECT count(*) AS paths, max(id) AS lastId FROM ValidPaths',
      )
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const what = `Nix's database can not be read: ${path}: ${why}`
      throw new AdoptionError({ code: 'no-database', path }, what, { cause })
    }
  }

  /** What Nix knows of a path; undefined where it is not valid. */
  get(storePath: StorePath): ValidPath | undefined {
    const row = this.#byPath.get(storePath.toString()) as Row | undefined
    return row === undefined ? undefined : this.#pathOf(row)
  }

  has(storePath: StorePath): boolean {
    return this.#byPath.get(storePath.toString()) !== undefined
  }

  /** What a derivation makes, whether that is valid or not. */
  outputsOf(derivation: StorePath): readonly StorePath[] {
    const rows = this.#outputs.all(derivation.toString()) as unknown as { path: string }[]
    return rows.map(({ path }) => StorePath.parse(path))
  }

  /** The paths that were added after the one with that id, the earliest first. */
  *after(id: number): Generator<ValidPath> {
    let last = id
    for (;;) {
      const rows = this.#after.all(last) as unknown as Row[]
      if (rows.length === 0) return
      for (const row of rows) {
        last = row.id
        yield this.#pathOf(row)
      }
    }
  }

  /** How many paths are valid, and the id of the one that was added last, 0 where there is none. */
  extent(): { readonly paths: number; readonly lastId: number } {
    const { paths, lastId } = this.#extent.get() as { paths: number; lastId: number | null }
    return { paths, lastId: lastId ?? 0 }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  #pathOf({ id, path, hash, narSize, deriver, sigs, ca }: Row): ValidPath {
    const references = this.#references.all(id) as unknown as { path: string }[]
    return {
      id,
      storePath: StorePath.parse(path),
      narSha256: parseNixHash(hash).bytes,
      narSize: narSize ?? 0,
      references: references.map((it) => StorePath.parse(it.path)),
      deriver: deriver === null || deriver === '' ? undefined : StorePath.parse(deriver),
      ca: ca === null || ca === '' ? undefined : ca,
      signatures: (sigs ?? '').split(' ').filter(Boolean).map(parseSignature),
    }
  }
}

/**
 * Opens a database for reading. Where nobody has it open and its directory is not ours to write to,
 * SQLite can not make the index of its log: it is then read as one that does not change.
 */
function opened(path: string): DatabaseSync {
  const options = { readOnly: true, timeout: BUSY_MS }
  const database = new DatabaseSync(path, options)
  try {
    database.prepare('SELECT max(id) FROM ValidPaths').get()
    return database
  } catch (error) {
    database.close()
    const url = pathToFileURL(path)
    url.searchParams.set('immutable', '1')
    const frozen = new DatabaseSync(url, options)
    try {
      frozen.prepare('SELECT max(id) FROM ValidPaths').get()
      return frozen
    } catch {
      frozen.close()
      throw error
    }
  }
}
