import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes that are written once and read by several, at any place, while they are written. */
export interface Spool extends AsyncDisposable {
  /** Writes after what is there. */
  append(bytes: Uint8Array): Promise<void>
  /** Up to `length` bytes from `offset` on; fewer only where no more are there. */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** The port to where spools are kept. */
export interface SpoolStore {
  open(): Promise<Spool>
}

/** Spools as files of a directory, whose names are gone as soon as they are open. */
export class SpoolDirectory implements SpoolStore {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /** Makes the directory where it is missing, and removes what a crash may have left in it. */
  static async open(path: string): Promise<SpoolDirectory> {
    await mkdir(path, { recursive: true, mode: 0o700 })
    for (const name of await readdir(path)) await rm(join(path, name), { force: true })
    return new SpoolDirectory(path)
  }

  async open(): Promise<Spool> {
    const name = join(this.#path, randomUUID())
    const file = await open(name, 'wx+', 0o600)
    await rm(name)
    return new FileSpool(file)
  }
}

class FileSpool implements Spool {
  readonly #file: FileHandle
  #size = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#size)
      at += bytesWritten
      this.#size += bytesWritten
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.#size - offset))
    const bytes = Buffer.allocUnsafe(wanted)
    let at = 0
    while (at < wanted) {
      const { bytesRead } = await this.#file.read(bytes, at, wanted - at, offset + at)
      if (bytesRead === 0) throw new Error('a spool is shorter than what was written to it')
      at += bytesRead
    }
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
