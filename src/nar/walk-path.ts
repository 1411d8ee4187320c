import type { Dirent, Stats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { compareBytes, printableBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import { NarError, tooDeep } from './nar-error.ts'
import {
  DIRECTORY_HEAD,
  ENTRY_TAIL,
  entryHead,
  NAR_LEVELS_MAX,
  NAR_MAGIC,
  NODE_TAIL,
  symlinkNode,
} from './nar-writer.ts'

/** A step ends after so many tokens, where no file comes. */
const STEP_TOKENS_MAX = 1024

const SLASH = Buffer.from('/')

/** Bytes of a NAR, and the file whose node follows them, if any. */
export interface PathStep {
  readonly before: readonly Uint8Array[]
  readonly file: Buffer | undefined
}

/**
 * Walks a path on disk in the order of its NAR, one step for each file.
 * @throws NarError where something can not be read, or is no file, directory or symlink
 */
export async function* walkPath(root: Buffer, call: Call): AsyncGenerator<PathStep> {
  let before: Uint8Array[] = [NAR_MAGIC]
  const open: {
    readonly path: Buffer
    readonly entries: readonly Dirent<Buffer>[]
    next: number
  }[] = []

  /** Adds a node, unless it is a file, which is for the caller to add. */
  const begin = async (path: Buffer, type: Dirent<Buffer> | Stats): Promise<'file' | 'other'> => {
    if (type.isFile()) return 'file'
    if (type.isSymbolicLink()) {
      before.push(symlinkNode(await translated(path, readlink(path, { encoding: 'buffer' }))))
    } else if (type.isDirectory()) {
      before.push(DIRECTORY_HEAD)
      open.push({ path, entries: await sortedEntries(path), next: 0 })
    } else {
      throw unsupported(path)
    }
    return 'other'
  }

  if ((await begin(root, await translated(root, lstat(root)))) === 'file') {
    yield { before, file: root }
    return
  }
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    call.signal.throwIfAborted()
    const entry = top.entries[top.next++]
    if (entry === undefined) {
      open.pop()
      before.push(NODE_TAIL)
      if (open.length > 0) before.push(ENTRY_TAIL)
      continue
    }
    if (open.length >= NAR_LEVELS_MAX) throw tooDeep(0)
    before.push(entryHead(entry.name))
    const path = Buffer.concat([top.path, SLASH, entry.name])
    if ((await begin(path, entry)) === 'file') {
      yield { before, file: path }
      before = [ENTRY_TAIL]
    } else if (!entry.isDirectory()) {
      before.push(ENTRY_TAIL)
    }
    if (before.length >= STEP_TOKENS_MAX) {
      yield { before, file: undefined }
      before = []
    }
  }
  yield { before, file: undefined }
}

/** The outcome of a call to the operating system, its errors as NarError 'path-unreadable'. */
export async function translated<T>(path: Buffer, outcome: Promise<T>): Promise<T> {
  try {
    return await outcome
  } catch (cause) {
    const printable = printableBytes(path)
    const fault = { code: 'path-unreadable', path: printable } as const
    throw new NarError(fault, `${printable} can not be read`, { cause })
  }
}

async function sortedEntries(path: Buffer): Promise<Dirent<Buffer>[]> {
  const listing = readdir(path, { encoding: 'buffer', withFileTypes: true })
  const entries = await translated(path, listing)
  return entries.sort((a, b) => compareBytes(a.name, b.name))
}

function unsupported(path: Buffer): NarError {
  const printable = printableBytes(path)
  const fault = { code: 'path-unsupported', path: printable } as const
  return new NarError(fault, `${printable} is neither a file nor a directory nor a symlink`)
}
