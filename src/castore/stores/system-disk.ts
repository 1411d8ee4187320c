import { type FileHandle, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { systemErrorCode } from '../../foundation/system-error.ts'
import type { Disk, DiskFile, FileFacts } from './disk.ts'

const FLAGS = { read: 'r', write: 'r+', begin: 'w+' } as const

/** The machine's own disk. */
export const systemDisk: Disk = {
  makeDirectory: async (path) => void (await mkdir(path, { recursive: true })),
  list: (directory) => readdir(directory),
  facts: async (path): Promise<FileFacts | undefined> => {
    try {
      const { size, mtimeMs } = await stat(path)
      return { bytes: size, modifiedMs: mtimeMs }
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined
      throw error
    }
  },
  open: async (path, how) => new SystemFile(await open(path, FLAGS[how])),
  remove: (path) => unlink(path),
  syncNames: async (path) => {
    await using directory = await open(path, 'r')
    await directory.sync()
  },
}

class SystemFile implements DiskFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(target, 0, target.length, position)).bytesRead
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return (await this.#handle.writev(pieces, position)).bytesWritten
  }

  async truncate(bytes: number): Promise<void> {
    await this.#handle.truncate(bytes)
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
