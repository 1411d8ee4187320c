import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { printableBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { OPEN_IN_PLACE } from '../foundation/open-flags.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import { NarError } from './nar-error.ts'
import { fileHead, fileTail } from './nar-writer.ts'
import { PieceCoalescer } from './piece-coalescer.ts'
import { type PathStep, translated, walkPath } from './walk-path.ts'

/** Files of up to this many bytes are read whole, ahead of their turn. */
const SMALL_FILE_BYTES_MAX = 128 * 1024

/** How many files are being opened and read beyond the one whose turn it is. */
const FILES_AHEAD = 32

/** How much of a large file is read at once, in bytes. */
const READ_BYTES = 1024 * 1024

/** How many reads of a large file are under way beyond the one that the consumer has. */
const READS_AHEAD = 1

type Prepared =
  | { readonly kind: 'whole'; readonly parts: readonly Uint8Array[] }
  | { readonly kind: 'large'; readonly before: readonly Uint8Array[]; readonly path: Buffer }

/**
 * The NAR of a path on disk, as `nix-store --dump` writes it: names are bytes and sorted as such,
 * symlinks are not followed, and what its owner may execute is executable. Pieces have 64 KiB and
 * more wherever there is that much.
 * @throws NarError where something can not be read, is no file, directory or symlink, or changes
 *   its size meanwhile; the stream breaks then
 */
export async function* dumpPath(path: string | Uint8Array, call: Call): AsyncGenerator<Uint8Array> {
  const coalescer = new PieceCoalescer()
  const pieces: Uint8Array[] = []
  const steps = walkPath(typeof path === 'string' ? Buffer.from(path) : Buffer.from(path), call)
  for await (const prepared of readAhead(steps, FILES_AHEAD, (step) => prepare(step))) {
    call.signal.throwIfAborted()
    const parts = prepared.kind === 'whole' ? prepared.parts : prepared.before
    for (const part of parts) coalescer.push(part, pieces)
    if (prepared.kind === 'large') {
      for await (const part of largeFile(prepared.path)) {
        call.signal.throwIfAborted()
        coalescer.push(part, pieces)
        yield* pieces.splice(0)
      }
    }
    if (pieces.length > 0) yield* pieces.splice(0)
  }
  coalescer.finish(pieces)
  yield* pieces
}

/** Reads a small file whole; leaves a large one for its turn. */
async function prepare({ before, file }: PathStep): Promise<Prepared> {
  if (file === undefined) return { kind: 'whole', parts: before }
  await using handle = await openFile(file)
  const { size, executable } = await stat(handle, file)
  if (size > SMALL_FILE_BYTES_MAX) return { kind: 'large', before, path: file }
  // One byte more than there should be, so that one read also shows that nothing follows.
  const content = await readAt(handle, file, 0, size + 1)
  if (content.length !== size) throw changed(file)
  return { kind: 'whole', parts: [...before, fileHead(size, executable), content, fileTail(size)] }
}

/** The node of a file that is too large to be read ahead. */
async function* largeFile(path: Buffer): AsyncGenerator<Uint8Array> {
  await using handle = await openFile(path)
  const { size, executable } = await stat(handle, path)
  yield fileHead(size, executable)
  const reads = readAhead(offsetsOf(size), READS_AHEAD, async (offset) => {
    const length = Math.min(READ_BYTES, size - offset)
    const bytes = await readAt(handle, path, offset, length)
    if (bytes.length < length) throw changed(path)
    return bytes
  })
  yield* reads
  if ((await readAt(handle, path, size, 1)).length > 0) throw changed(path)
  yield fileTail(size)
}

function* offsetsOf(size: number): Generator<number> {
  for (let offset = 0; offset < size; offset += READ_BYTES) yield offset
}

async function openFile(path: Buffer): Promise<FileHandle> {
  return await translated(path, open(path, OPEN_IN_PLACE))
}

async function stat(
  handle: FileHandle,
  path: Buffer,
): Promise<{ size: number; executable: boolean }> {
  const stats = await translated(path, handle.stat())
  if (!stats.isFile()) throw changed(path)
  return { size: stats.size, executable: (stats.mode & constants.S_IXUSR) !== 0 }
}

/** Bytes from `offset` on: as many as asked for, or fewer where the file ends before. */
async function readAt(
  handle: FileHandle,
  path: Buffer,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = length >= READ_BYTES ? Buffer.allocUnsafeSlow(length) : Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const read = handle.read(bytes, filled, length - filled, offset + filled)
    const { bytesRead } = await translated(path, read)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

function changed(path: Buffer): NarError {
  const printable = printableBytes(path)
  const fault = { code: 'path-changed', path: printable } as const
  return new NarError(fault, `${printable} changed while it was read`)
}
