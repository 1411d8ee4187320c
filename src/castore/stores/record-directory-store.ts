import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { CastoreError, invalid } from '../castore-error.ts'
import type { DirectoryStore } from '../directory-store.ts'
import { Directory } from '../model/directory.ts'
import type { DirectoryNode } from '../model/node.ts'
import type { RecordStore } from '../record-store.ts'

/** How many Directories are read at once while walking. */
const BATCH_DIRECTORIES_MAX = 256

/** How many Directories' sizes are remembered, so that parents can be checked without reading. */
export const KNOWN_SIZES_MAX = 16_384

/** Directories as records under their digests. */
export class RecordDirectoryStore implements DirectoryStore {
  readonly #records: RecordStore
  readonly #knownSizes = new Map<string, number>()

  constructor(components: { records: RecordStore }) {
    this.#records = components.records
  }

  async get(digest: Digest, call: Call): Promise<Directory | undefined> {
    const [directory] = await this.#read([digest], call)
    return directory
  }

  async *closure(root: Digest, call: Call): AsyncGenerator<Directory> {
    const top = await this.get(root, call)
    if (top === undefined) return
    yield top
    const seen = new Map([[root.hex, top.size]])
    const next = unseenChildren(top, seen)
    let at = 0
    while (at < next.length) {
      const batch = next.slice(at, at + BATCH_DIRECTORIES_MAX)
      at += batch.length
      const directories = await this.#read(
        batch.map((node) => node.digest),
        call,
      )
      for (const [i, directory] of directories.entries()) {
        const node = batch[i]!
        if (directory === undefined) throw incomplete(node.digest)
        checkSize(node, directory.size)
        yield directory
        for (const child of unseenChildren(directory, seen)) next.push(child)
      }
    }
  }

  async put(directories: readonly Directory[], call: Call): Promise<void> {
    const given = new Map<string, number>()
    const unknown: DirectoryNode[] = []
    for (const directory of directories) {
      for (const { node } of directory.entries) {
        if (node.type !== 'directory') continue
        const size = given.get(node.digest.hex) ?? this.#knownSizes.get(node.digest.hex)
        if (size === undefined) unknown.push(node)
        else checkSize(node, size)
      }
      given.set(directory.digest.hex, directory.size)
    }
    await this.#checkHeld(unknown, call)
    const records = directories.map(({ digest, encoded }) => ({
      key: digest.bytes,
      bytes: encoded,
    }))
    await this.#records.put('directory', records, call)
    for (const [hex, size] of given) this.#remember(hex, size)
  }

  async #checkHeld(nodes: DirectoryNode[], call: Call): Promise<void> {
    for (let i = 0; i < nodes.length; i += BATCH_DIRECTORIES_MAX) {
      const batch = nodes.slice(i, i + BATCH_DIRECTORIES_MAX)
      const directories = await this.#read(
        batch.map((node) => node.digest),
        call,
      )
      for (const [at, directory] of directories.entries()) {
        const node = batch[at]!
        if (directory === undefined) throw incomplete(node.digest)
        checkSize(node, directory.size)
        this.#remember(node.digest.hex, directory.size)
      }
    }
  }

  async #read(digests: readonly Digest[], call: Call): Promise<(Directory | undefined)[]> {
    const keys = digests.map((digest) => digest.bytes)
    const records = await this.#records.get('directory', keys, call)
    return records.map((encoded) => (encoded === undefined ? undefined : Directory.decode(encoded)))
  }

  #remember(hex: string, size: number): void {
    this.#knownSizes.set(hex, size)
    if (this.#knownSizes.size <= KNOWN_SIZES_MAX) return
    const oldest = this.#knownSizes.keys().next().value
    if (oldest !== undefined) this.#knownSizes.delete(oldest)
  }
}

/** The child directories not met before; those met before must have had the same size. */
function unseenChildren(directory: Directory, seen: Map<string, number>): DirectoryNode[] {
  const children: DirectoryNode[] = []
  for (const { node } of directory.entries) {
    if (node.type !== 'directory') continue
    const size = seen.get(node.digest.hex)
    if (size !== undefined) {
      checkSize(node, size)
      continue
    }
    seen.set(node.digest.hex, node.size)
    children.push(node)
  }
  return children
}

function checkSize(node: DirectoryNode, size: number): void {
  if (node.size === size) return
  throw invalid(
    `directory ${node.digest} has ${size} entries below it, its parent says ${node.size}`,
  )
}

function incomplete(digest: Digest): CastoreError {
  const what = `directory ${digest} is referred to but not held`
  return new CastoreError({ code: 'incomplete', digest: digest.hex }, what)
}
