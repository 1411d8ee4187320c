import { createHash, type Hash } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import type { DirectoryStore } from '../castore/directory-store.ts'
import { Directory, type Entry } from '../castore/model/directory.ts'
import { DirectoryNode, FileNode, type Node, SymlinkNode } from '../castore/model/node.ts'
import { compareBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { OPEN_IN_PLACE } from '../foundation/open-flags.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import {
  DIRECTORY_HEAD,
  ENTRY_TAIL,
  entryHead,
  fileHead,
  fileTail,
  NAR_LEVELS_MAX,
  NAR_MAGIC,
  NODE_TAIL,
  symlinkNode,
} from '../nar/nar-writer.ts'
import type { AdoptedBlobs } from './adopted-blobs.ts'

/** How many Directories are stored in one go. */
const BATCH_DIRECTORIES = 256

/** How many small files are opened and read beyond the one whose turn it is. */
const FILES_AHEAD = 32

const SLASH = Buffer.from('/')

/** What was found at a path, and what its NAR would be. */
export interface AdoptedTree {
  readonly node: Node
  readonly narSize: number
  readonly narSha256: Uint8Array
}

/**
 * Takes in what lies at a path, where it lies: only Directories, chunk lists and outboards are
 * stored, and where the chunks are. Its NAR is hashed on the way. Undefined where something changes
 * while it is read, or is no file, directory or symlink.
 * @throws what the operating system says where something can not be read
 */
export async function adoptTree(
  components: { readonly blobs: AdoptedBlobs; readonly directories: DirectoryStore },
  root: Buffer,
  call: Call,
): Promise<AdoptedTree | undefined> {
  const walk = new Walk(components, call)
  const node = await walk.node(root, 1)
  if (node === undefined) return undefined
  await walk.finish()
  return { node, ...walk.nar }
}

interface SmallFile {
  readonly content: Uint8Array
  readonly executable: boolean
}

interface Prepared {
  readonly name: Buffer
  /** The file, where it is one that is read whole, ahead of its turn. */
  readonly small?: SmallFile
}

/** Reads a small file ahead of its turn; all else waits for it. */
async function prepare(directory: Buffer, entry: Dirent<Buffer>): Promise<Prepared> {
  const { name } = entry
  if (!entry.isFile()) return { name }
  await using file = await open(Buffer.concat([directory, SLASH, name]), OPEN_IN_PLACE)
  const { size, mode } = await file.stat()
  if (size > CHUNK_BYTES_MIN) return { name }
  // One byte more than there should be shows that nothing follows.
  const bytes = Buffer.allocUnsafe(size + 1)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
  if (bytesRead !== size) return { name } // it changes just now
  const executable = (mode & constants.S_IXUSR) !== 0
  return { name, small: { content: bytes.subarray(0, size), executable } }
}

class Walk {
  readonly #blobs: AdoptedBlobs
  readonly #directories: DirectoryStore
  readonly #call: Call
  readonly #hash: Hash = createHash('sha256')
  #narSize = 0
  /** Children come before their parents. */
  #waiting: Directory[] = []

  constructor(
    components: { readonly blobs: AdoptedBlobs; readonly directories: DirectoryStore },
    call: Call,
  ) {
    this.#blobs = components.blobs
    this.#directories = components.directories
    this.#call = call
    this.#say(NAR_MAGIC)
  }

  get nar(): { narSize: number; narSha256: Uint8Array } {
    return { narSize: this.#narSize, narSha256: Uint8Array.from(this.#hash.copy().digest()) }
  }

  async node(path: Buffer, level: number): Promise<Node | undefined> {
    this.#call.signal.throwIfAborted()
    const stats = await lstat(path)
    if (stats.isSymbolicLink()) {
      const target = await readlink(path, { encoding: 'buffer' })
      this.#say(symlinkNode(target))
      return new SymlinkNode(target)
    }
    if (stats.isDirectory()) return await this.#directory(path, level)
    return stats.isFile() ? await this.#file(path) : undefined
  }

  async #file(path: Buffer): Promise<Node | undefined> {
    await using file = await open(path, OPEN_IN_PLACE)
    const stats = await file.stat()
    if (!stats.isFile()) return undefined
    const { size } = stats
    const executable = (stats.mode & constants.S_IXUSR) !== 0
    this.#say(fileHead(size, executable))
    const onBytes = (bytes: Uint8Array): void => this.#say(bytes)
    const digest = await this.#blobs.take(file, { path, size }, onBytes, this.#call)
    if (digest === undefined) return undefined
    this.#say(fileTail(size))
    return new FileNode(digest, size, executable)
  }

  async #smallFile(path: Buffer, { content, executable }: SmallFile): Promise<Node> {
    this.#call.signal.throwIfAborted()
    const size = content.length
    this.#say(fileHead(size, executable))
    this.#say(content)
    this.#say(fileTail(size))
    const digest = await this.#blobs.takeSmall(path, content, this.#call)
    return new FileNode(digest, size, executable)
  }

  async #directory(path: Buffer, level: number): Promise<Node | undefined> {
    if (level >= NAR_LEVELS_MAX) return undefined
    const listed = await readdir(path, { encoding: 'buffer', withFileTypes: true })
    const names = listed.sort((a, b) => compareBytes(a.name, b.name))
    this.#say(DIRECTORY_HEAD)
    const entries: Entry[] = []
    const prepared = readAhead(names, FILES_AHEAD, (entry) => prepare(path, entry))
    for await (const { name, small } of prepared) {
      this.#say(entryHead(name))
      const below = Buffer.concat([path, SLASH, name])
      const node =
        small === undefined
          ? await this.node(below, level + 1)
          : await this.#smallFile(below, small)
      if (node === undefined) return undefined
      this.#say(ENTRY_TAIL)
      entries.push({ name, node })
    }
    this.#say(NODE_TAIL)
    const directory = Directory.of(entries)
    this.#waiting.push(directory)
    if (this.#waiting.length >= BATCH_DIRECTORIES) await this.finish()
    return new DirectoryNode(directory.digest, directory.size)
  }

  /** Stores what waits: contents first, then the Directories that refer to them. */
  async finish(): Promise<void> {
    await this.#blobs.flush(this.#call)
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length > 0) await this.#directories.put(waiting, this.#call)
  }

  #say(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#narSize += bytes.length
  }
}
