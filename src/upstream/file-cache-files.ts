import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Call } from '../foundation/call.ts'
import { systemErrorCode } from '../foundation/system-error.ts'
import { type CacheError, cacheError, cutOff } from './cache-error.ts'
import { checkCacheFileName } from './cache-file-name.ts'
import type { CacheFile, CacheFileBody, CacheFiles } from './cache-files.ts'
import { wholeBody } from './whole-body.ts'

/** How much of a file is read in one go, in bytes. */
const READ_BYTES = 256 * 1024

/** What the system says of names that there are no files of. */
const ABSENT = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'EISDIR']

/** What it says where it does not let us. */
const REFUSED = ['EACCES', 'EPERM', 'EROFS']

interface Seen {
  readonly size: number
  readonly etag: string
}

/** A cache in a directory, as `nix copy --to file://…` writes it. */
export class FileCacheFiles implements CacheFiles {
  readonly name: string
  readonly #root: string

  constructor(_components: Record<never, never>, init: { readonly directory: string }) {
    this.#root = init.directory
    this.name = `file://${init.directory}`
  }

  async get(name: string, call: Call, offset = 0): Promise<CacheFile | undefined> {
    const seen = await this.#seen(name, call)
    if (seen === undefined) return undefined
    // Opened once it is read, so that nothing stays open that nobody reads.
    return { ...seen, bytes: this.#read(name, offset, seen, call) }
  }

  async has(name: string, call: Call): Promise<boolean> {
    return (await this.#seen(name, call)) !== undefined
  }

  async put(name: string, body: CacheFileBody, _type: string, call: Call): Promise<void> {
    checkCacheFileName(name, this.name)
    const target = join(this.#root, name)
    const temporary = join(dirname(target), `.${basename(target).slice(0, 64)}.${randomUUID()}`)
    const trying = <T>(work: Promise<T>): Promise<T> =>
      work.catch((error) => {
        throw this.#translated(error, name)
      })
    await trying(mkdir(dirname(target), { recursive: true }))
    const file = await trying(open(temporary, 'wx', 0o644))
    try {
      try {
        for await (const piece of wholeBody(body, this.name)) {
          call.signal.throwIfAborted()
          await trying(file.writeFile(piece))
        }
        await trying(file.datasync())
      } finally {
        await file.close()
      }
      await trying(rename(temporary, target))
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined) // the first error is the one
      throw error
    }
  }

  async close(): Promise<void> {} // files are closed by who reads them

  async #seen(name: string, call: Call): Promise<Seen | undefined> {
    const file = await this.#open(name, call)
    if (file === undefined) return undefined
    try {
      return await seenOf(file)
    } finally {
      await file.close()
    }
  }

  async #open(name: string, call: Call): Promise<FileHandle | undefined> {
    call.signal.throwIfAborted()
    checkCacheFileName(name, this.name)
    try {
      // Without O_NONBLOCK, who opens a named pipe waits for whoever writes to it.
      return await open(join(this.#root, name), constants.O_RDONLY | constants.O_NONBLOCK)
    } catch (error) {
      if (!ABSENT.includes(systemErrorCode(error) ?? '')) throw this.#translated(error, name)
      await this.#checkRoot()
      return undefined
    }
  }

  /** Where nothing is mounted nothing can be said to be absent. */
  async #checkRoot(): Promise<void> {
    const status = await stat(this.#root).catch(() => undefined)
    if (status?.isDirectory() !== true) {
      throw cacheError('unreachable', this.name, 'is not there: it is no directory')
    }
  }

  async *#read(name: string, offset: number, seen: Seen, call: Call): AsyncGenerator<Uint8Array> {
    const file = await this.#open(name, call)
    if (file === undefined || (await seenOf(file))?.etag !== seen.etag) {
      await file?.close()
      throw cutOff(this.name, `has another ${name} by now, and a body ended`, 0)
    }
    try {
      for (let at = offset; at < seen.size; ) {
        call.signal.throwIfAborted()
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, seen.size - at))
        const { bytesRead } = await this.#piece(file, name, buffer, at)
        if (bytesRead === 0) throw cutOff(this.name, `cut ${name} short while it was read`, at)
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  async #piece(
    file: FileHandle,
    name: string,
    buffer: Buffer,
    at: number,
  ): Promise<{ readonly bytesRead: number }> {
    try {
      return await file.read(buffer, 0, buffer.length, at)
    } catch (error) {
      throw this.#translated(error, name)
    }
  }

  #translated(error: unknown, name: string): CacheError {
    const code = systemErrorCode(error) ?? String(error)
    const fault = REFUSED.includes(code) ? 'refused' : 'broken'
    return cacheError(fault, this.name, `does not give or take ${name}: ${code}`, error)
  }
}

/** What is to be known of an open file; undefined where it is a directory or the like. */
async function seenOf(file: FileHandle): Promise<Seen | undefined> {
  const status = await file.stat()
  const { ino, size, mtimeMs } = status
  return status.isFile() ? { size, etag: `"${ino}-${size}-${mtimeMs}"` } : undefined
}
