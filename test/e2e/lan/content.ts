import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CHUNK_BYTES_MIN, Chunker } from '../../../src/castore/chunking/fast-cdc.ts'
import { dumpPath } from '../../../src/nar/dump-path.ts'
import { makeBigFile } from '../../bench/bench-data.ts'
import { call } from '../../fixtures/content.ts'

const KIB = 1024

/** How many files a closure of {@link CLOSURE_BYTES} has that are small. */
const SMALL_FILES = 5_000
const CLOSURE_BYTES = 64 * KIB * KIB

/** The lengths of small files, in bytes, all as likely. */
const SMALL_BYTES_MIN = 4 * KIB
const SMALL_BYTES_MAX = 12 * KIB

const LARGE_FILES = 4

/** How many small files stand in one directory. */
const DIRECTORY_FILES = 250

/** Every so many-th small file of a second version is another one. */
const CHANGED_EVERY = 10

/** How many bytes are changed in the middle of a large file of a second version. */
const CHANGED_BYTES = 64 * KIB

/** A file or directory that becomes a store path. */
export interface Content {
  readonly path: string
  /** Whether it is a directory. */
  readonly isTree: boolean
  /** The bytes of all files together. */
  readonly bytes: number
  /** SHA-256 of its NAR, in hex. */
  readonly narSha256: string
}

/** One file of random bytes. */
export async function makeBlob(path: string, bytes: number): Promise<Content> {
  await makeBigFile(path, bytes)
  return { path, isTree: false, bytes, narSha256: await narSha256(path) }
}

/** Small files, 5,000 of them in 64 MiB, and four large ones: all bytes are random. */
export async function makeClosure(path: string, bytes: number): Promise<Content> {
  const count = Math.round((SMALL_FILES * bytes) / CLOSURE_BYTES)
  let small = 0
  for (let i = 0; i < count; i++) {
    const directory = join(path, `d${Math.floor(i / DIRECTORY_FILES)}`)
    if (i % DIRECTORY_FILES === 0) await mkdir(directory, { recursive: true })
    const size = SMALL_BYTES_MIN + ((i * 7919) % (SMALL_BYTES_MAX - SMALL_BYTES_MIN))
    await writeFile(join(directory, `f${i}`), randomBytes(size))
    small += size
  }
  const large = Math.floor((bytes - small) / LARGE_FILES)
  for (let i = 0; i < LARGE_FILES; i++) await makeBigFile(join(path, `large${i}`), large)
  const all = small + LARGE_FILES * large
  return { path, isTree: true, bytes: all, narSha256: await narSha256(path) }
}

/** The same tree in which every tenth small file is new, and each large one has a new middle. */
export async function makeNextVersion(of: Content, path: string): Promise<Content> {
  await cp(of.path, path, { recursive: true })
  let small = 0
  for (const file of await filesOf(path)) {
    const isLarge = file.includes('large')
    if (!isLarge && small++ % CHANGED_EVERY !== 0) continue
    await using handle = await open(join(path, file), 'r+')
    const { size } = await handle.stat()
    const change = randomBytes(isLarge ? CHANGED_BYTES : size)
    await handle.write(change, 0, change.length, isLarge ? size >> 1 : 0)
  }
  return { path, isTree: true, bytes: of.bytes, narSha256: await narSha256(path) }
}

/** Bytes of the chunks that the second has and the first has not. */
export async function changedChunkBytes(first: Content, second: Content): Promise<number> {
  const before = await chunksOf(first.path)
  let changed = 0
  for (const [digest, size] of await chunksOf(second.path)) {
    if (!before.has(digest)) changed += size
  }
  return changed
}

/** How long each chunk of a tree's files is, in bytes, by a digest of it. */
async function chunksOf(path: string): Promise<Map<string, number>> {
  const chunks = new Map<string, number>()
  for (const file of await filesOf(path)) {
    const data = await readFile(join(path, file))
    for (const chunk of cut(data)) {
      chunks.set(createHash('sha256').update(chunk).digest('hex'), chunk.length)
    }
  }
  return chunks
}

function cut(data: Uint8Array): Uint8Array[] {
  if (data.length <= CHUNK_BYTES_MIN) return [data]
  const chunker = new Chunker()
  const chunks = chunker.push(data)
  const last = chunker.finish()
  return last === undefined ? chunks : [...chunks, last]
}

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((it) => it.isFile())
    .map((it) => join(it.parentPath, it.name).slice(path.length + 1))
    .sort()
}

async function narSha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of dumpPath(path, call)) hash.update(piece)
  return hash.digest('hex')
}
