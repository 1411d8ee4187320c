import type { BlobReader } from '../castore/blob-store.ts'
import type { DirectoryNode, Node } from '../castore/model/node.ts'
import { concatBytes, utf8Bytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { DirectoryTree } from '../nar/directory-tree.ts'
import { NarError } from '../nar/nar-error.ts'
import { LISTING_ENTRIES_MAX } from '../nar/nar-listing.ts'
import { parsePathInStore } from '../nix/path-in-store.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import { contentMissing, findNode, type Place, placeError } from './find-node.ts'
import type { Substituter } from './substituter.ts'
import type { PartialContents } from './substituting-castore.ts'
import { SubstitutionError } from './substitution-error.ts'

const SLASH = utf8Bytes('/')

/** Something in a store path. */
export interface ListedNode {
  /** Relative to the directory that is listed; empty where a file or a symlink is listed. */
  readonly path: Uint8Array
  readonly node: Node
}

/**
 * Reads what is in store paths, whether they are here or not: of one that somebody trusted has
 * signed by its root, only the Directories and the parts of files come here that are wanted; one
 * that is signed the Nix way alone is fetched and checked first.
 */
export class PathContents {
  readonly #substituter: Substituter
  readonly #contents: PartialContents

  constructor(components: { substituter: Substituter; contents: PartialContents }) {
    this.#substituter = components.substituter
    this.#contents = components.contents
  }

  /**
   * Opens the file at `/nix/store/<hash>-<name>/…`. Symlinks are followed within the store path.
   * @throws SubstitutionError; NixError where it is no path in the store
   */
  async open(path: Uint8Array, call: Call): Promise<BlobReader> {
    const place = { ...parsePathInStore(path), followLast: true }
    const node = await this.#find(place, call)
    if (node.type !== 'file') {
      throw placeError('no-file', place, 'it is a directory; `cairn ls` tells what is in it')
    }
    const reader = await this.#contents.blobs.open(node.digest, call, node.size)
    if (reader?.size === node.size) return reader
    const what = `its content, blob ${node.digest}, is neither here nor to be had`
    throw contentMissing(place, what)
  }

  /**
   * Tells what is in a directory at such a path, or all below it; or what else is there, if not a
   * directory. A symlink in the last place is told, not followed.
   * @throws as {@link open}
   */
  async *list(
    path: Uint8Array,
    init: { readonly isRecursive: boolean },
    call: Call,
  ): AsyncGenerator<ListedNode> {
    const place = { ...parsePathInStore(path), followLast: false }
    const node = await this.#find(place, call)
    if (node.type !== 'directory') {
      yield { path: new Uint8Array(0), node }
      return
    }
    if (init.isRecursive && node.size > LISTING_ENTRIES_MAX) {
      const most = `more than the ${LISTING_ENTRIES_MAX} that are listed`
      const what = `it has ${node.size} entries, ${most}`
      throw placeError('too-large', place, what)
    }
    try {
      yield* this.#below(node, init.isRecursive, call)
    } catch (error) {
      if (!(error instanceof NarError)) throw error
      throw contentMissing(place, error.message, error)
    }
  }

  async #find(place: Place, call: Call): Promise<Node> {
    const { storePath } = place
    const pathInfo = await this.#resolve(place, call)
    if (pathInfo?.storePath.equals(storePath) !== true) {
      const path = storePath.toString()
      const what = `nobody who is reached has ${path}, signed by a key that is trusted here`
      throw new SubstitutionError({ code: 'path-absent', path }, what)
    }
    return await findNode(pathInfo.node, place, this.#contents.directories, call)
  }

  async #resolve(place: Place, call: Call): Promise<PathInfo | undefined> {
    try {
      return await this.#substituter.resolve(place.storePath.hash, call)
    } catch (error) {
      if (!(error instanceof SubstitutionError) || error.fault.code !== 'offers-failed') throw error
      const [first] = error.fault.causes
      const why = first instanceof Error ? first.message : String(first)
      throw contentMissing(place, `it was offered, but could not be had: ${why}`, error)
    }
  }

  async *#below(top: DirectoryNode, isRecursive: boolean, call: Call): AsyncGenerator<ListedNode> {
    await using tree = new DirectoryTree(this.#contents.directories, top, call)
    const { entries } = await tree.get(top)
    const open = [{ entries, next: 0, path: new Uint8Array(0) as Uint8Array }]
    for (let inner = open.at(-1); inner !== undefined; inner = open.at(-1)) {
      call.signal.throwIfAborted()
      const entry = inner.entries[inner.next++]
      if (entry === undefined) {
        open.pop()
        continue
      }
      const { name, node } = entry
      const path = inner.path.length === 0 ? name : concatBytes([inner.path, SLASH, name])
      yield { path, node }
      if (!isRecursive || node.type !== 'directory') continue
      open.push({ entries: (await tree.get(node)).entries, next: 0, path })
    }
  }
}
