import type { Call } from '../foundation/call.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import { blobBytes, type ChunkRef, EMPTY_BLOB } from './blob-store.ts'
import type { Castore, ReadableCastore } from './castore.ts'
import { invalid } from './castore-error.ts'
import { contentBelow, missingContent } from './content-below.ts'
import { DigestSet } from './digest-set.ts'
import { leavesFirst } from './leaves-first.ts'
import type { Directory } from './model/directory.ts'
import type { FileNode, Node } from './model/node.ts'
import { NearestDirectories } from './nearest-directories.ts'

/** How many blobs are looked for in one question. */
const BLOBS_PER_QUESTION = 256

/** How many content bytes are asked for at a time. */
const PORTION_BYTES = 4 * 1024 * 1024

/** How many portions are on their way besides the one that is being stored. */
const PORTIONS_AHEAD = 2

/** Who is told how far a copy has got. */
export interface CopyListener {
  /** A Directory came from elsewhere. */
  onDirectory?(): void
  /** All Directories below the root, before any blob is read. @throws to end the copy */
  onDirectories?(directories: readonly Directory[]): Promise<void>
  /** All that is below the root, once that is known. */
  onTotals(files: number, bytes: number): void
  /** How many more content bytes are here, and how many of them came from elsewhere. */
  onBytes(bytes: number, fetched: number): void
  /** How many more files are here whole. */
  onFiles(files: number): void
}

/**
 * Copies all content below a root from one castore to another that checks what it is given: blobs
 * first, chunk by chunk where the other has part of them already, then Directories, the root last.
 * Directories that the other has are not asked for, nor what is below them.
 * @throws CastoreError where something is missing, or is not what its digest says
 */
export async function copyContent(
  root: Node,
  from: ReadableCastore,
  into: Castore,
  listener: CopyListener,
  call: Call,
): Promise<void> {
  if (root.type === 'symlink') return listener.onTotals(0, 0)
  const both = { near: into.directories, far: from.directories }
  const nearest = new NearestDirectories(both, { onFar: () => listener.onDirectory?.() })
  const { directories, files } = await contentBelow(root, { directories: nearest }, call)
  await listener.onDirectories?.(directories)
  listener.onTotals(
    files.length,
    files.reduce((sum, { size }) => sum + size, 0),
  )
  for (let at = 0; at < files.length; at += BLOBS_PER_QUESTION) {
    await copyBlobs(files.slice(at, at + BLOBS_PER_QUESTION), from, into, listener, call)
  }
  await into.directories.put(leavesFirst(directories), call)
}

async function copyBlobs(
  files: readonly FileNode[],
  from: ReadableCastore,
  into: Castore,
  listener: CopyListener,
  call: Call,
): Promise<void> {
  const held = await into.blobs.layouts(
    files.map(({ digest }) => digest),
    call,
  )
  const wanted: FileNode[] = []
  for (const [i, file] of files.entries()) {
    if (held[i] === undefined && !file.digest.equals(EMPTY_BLOB)) {
      wanted.push(file)
      continue
    }
    listener.onBytes(file.size, 0)
    listener.onFiles(1)
  }
  if (wanted.length === 0) return
  const layouts = await from.blobs.layouts(
    wanted.map(({ digest }) => digest),
    call,
  )
  const cut = wanted.map((file, i) => ({ file, layout: layoutOf(file, layouts[i]) }))
  const chunks = cut.flatMap(({ layout }) => layout)
  await copyChunks(chunks, from, into, listener, call)
  for (const { file, layout } of cut) {
    if (layout.length > 1) await into.blobs.assemble(file.digest, layout, call)
  }
  listener.onFiles(wanted.length)
}

/** How a blob is cut over there, which is to fit what its Directory says of it. */
function layoutOf(
  { digest, size }: FileNode,
  layout: readonly ChunkRef[] | undefined,
): readonly ChunkRef[] {
  if (layout === undefined) throw missingContent(digest, 'blob')
  const length = blobBytes(layout)
  if (length !== size) throw invalid(`blob ${digest} has ${length} bytes, its node says ${size}`)
  const isOneChunk = layout.length === 1 && !layout[0]!.digest.equals(digest)
  if (isOneChunk) throw invalid(`blob ${digest} is one chunk, and has another digest than that`)
  return layout
}

/** Brings those chunks that are not there yet. */
async function copyChunks(
  chunks: readonly ChunkRef[],
  from: ReadableCastore,
  into: Castore,
  listener: CopyListener,
  call: Call,
): Promise<void> {
  const seen = new DigestSet()
  const distinct = chunks.filter(({ digest }) => seen.add(digest.bytes))
  const sizes = await into.blobs.chunkSizes(
    distinct.map(({ digest }) => digest),
    call,
  )
  const wanted = distinct.filter((_, i) => sizes[i] === undefined)
  listener.onBytes(blobBytes(chunks) - blobBytes(wanted), 0)
  const read = async (portion: readonly ChunkRef[]) => {
    const digests = portion.map(({ digest }) => digest)
    const contents = await from.blobs.readChunks(digests, call)
    return digests.map((digest, i) => {
      const bytes = contents[i]
      if (bytes === undefined) throw missingContent(digest, 'chunk')
      return { digest, bytes }
    })
  }
  for await (const portion of readAhead(portions(wanted), PORTIONS_AHEAD, read)) {
    await into.blobs.putChunks(portion, call)
    const bytes = portion.reduce((sum, chunk) => sum + chunk.bytes.length, 0)
    listener.onBytes(bytes, bytes)
  }
}

function* portions(chunks: readonly ChunkRef[]): Generator<readonly ChunkRef[]> {
  let portion: ChunkRef[] = []
  let bytes = 0
  for (const chunk of chunks) {
    portion.push(chunk)
    bytes += chunk.size
    if (bytes < PORTION_BYTES) continue
    yield portion
    portion = []
    bytes = 0
  }
  if (portion.length > 0) yield portion
}
