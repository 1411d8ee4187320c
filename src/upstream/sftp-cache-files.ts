import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path/posix'
import type { SFTPWrapper } from 'ssh2'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import { readAhead } from '../foundation/read-ahead.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import { cacheError, cutOff } from './cache-error.ts'
import { checkCacheFileName } from './cache-file-name.ts'
import type { CacheFile, CacheFileBody, CacheFiles } from './cache-files.ts'
import { UPSTREAM_ANSWER_MS, UPSTREAM_CONNECT_MS, type UpstreamLimits } from './http-cache-files.ts'
import { resumedBody } from './resumed-body.ts'
import { SftpConnection } from './sftp-connection.ts'
import type { UpstreamLocation } from './upstream-url.ts'
import { wholeBody } from './whole-body.ts'

/** How many connections to one machine there are at once; each takes many requests. */
export const SFTP_CONNECTIONS_MAX = 2

/** How much is asked for, and sent, in one request, in bytes: what every server takes. */
const PIECE_BYTES = 32 * 1024

/** What a server answers to requests that it does not know (draft-ietf-secsh-filexfer-02 §7). */
const OPERATION_UNSUPPORTED = 8

/** How many requests for pieces of one file are on their way at once. */
const PIECES_AT_ONCE = 32

/** Where the cache is, who it must be, and who we are. */
export interface SftpCacheInit extends UpstreamLimits {
  readonly name: string
  readonly location: Extract<UpstreamLocation, { kind: 'sftp' }>
  /** The keys of hosts, as OpenSSH keeps them; the first is named to who has to add one. */
  readonly knownHostsFiles: readonly string[]
  /** Private keys to try where the URL names none; those that are not there are passed over. */
  readonly keyFiles?: readonly string[]
  /** The socket of an SSH agent; asked where the URL names no key. */
  readonly agent?: string | undefined
}

/** A place for a connection. */
interface Slot {
  readonly opening: Promise<SftpConnection>
  connection: SftpConnection | undefined
}

/** What a file was when it was asked for. */
interface Seen {
  readonly size: number
  readonly etag: string
}

/** A cache in a directory of another machine, reached by SFTP. */
export class SftpCacheFiles implements CacheFiles {
  readonly name: string
  readonly #clock: Clock
  readonly #init: SftpCacheInit
  readonly #root: string
  readonly #closing = new AbortController()
  readonly #pool: (Slot | undefined)[] = []
  #turn = 0
  #isRootSeen = false

  constructor(components: { readonly clock: Clock }, init: SftpCacheInit) {
    this.name = init.name
    this.#clock = components.clock
    this.#init = init
    this.#root = init.location.directory
  }

  async get(name: string, call: Call, offset = 0): Promise<CacheFile | undefined> {
    const path = this.#pathOf(name)
    const seen = await this.#seen(path, call)
    if (seen === undefined) return undefined
    const reopen = async (from: number, inner: Call): Promise<AsyncIterable<Uint8Array>> =>
      this.#read(path, seen, from, inner)
    const first = {
      bytes: this.#read(path, seen, offset, call),
      offset: Math.min(offset, seen.size),
    }
    const components = { clock: this.#clock, cache: this.name }
    return { ...seen, bytes: resumedBody({ ...first, size: seen.size, reopen }, components, call) }
  }

  async has(name: string, call: Call): Promise<boolean> {
    return (await this.#seen(this.#pathOf(name), call)) !== undefined
  }

  async put(name: string, body: CacheFileBody, _type: string, call: Call): Promise<void> {
    const path = this.#pathOf(name)
    const connection = await this.#connection(call)
    const temporary = join(dirname(path), `.${randomUUID()}.part`)
    await this.#makeDirectory(connection, dirname(path), call)
    try {
      await this.#write(connection, temporary, body, call)
      await this.#rename(connection, temporary, path, call)
    } catch (error) {
      // The first error is the one to tell.
      const leaving = { signal: this.#closing.signal }
      await this.#do(connection, (sftp, done) => sftp.unlink(temporary, done), leaving).catch(
        () => undefined,
      )
      throw error
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(cacheError('unreachable', this.name, 'is not used any more'))
    const opened = await Promise.allSettled(this.#pool.map((it) => it?.opening))
    for (const it of opened) if (it.status === 'fulfilled') it.value?.close()
  }

  /** One of a few connections, in turn; opened where it is not, or has gone. */
  async #connection(call: Call): Promise<SftpConnection> {
    const { connectionsMax = SFTP_CONNECTIONS_MAX } = this.#init
    const at = this.#turn++ % Math.min(connectionsMax, SFTP_CONNECTIONS_MAX)
    call.signal.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    let slot = this.#pool[at]
    if (slot === undefined || slot.connection?.isOpen === false) {
      slot = this.#open()
      this.#pool[at] = slot
    }
    try {
      return await unlessAborted(slot.opening, call.signal)
    } catch (error) {
      if (!call.signal.aborted && this.#pool[at] === slot) this.#pool[at] = undefined
      throw error
    }
  }

  #open(): Slot {
    const { connectMs, answerMs, keyFiles, ...init } = this.#init
    const settings = {
      ...init,
      keyFiles: keyFiles ?? [],
      connectMs: connectMs ?? UPSTREAM_CONNECT_MS,
      answerMs: answerMs ?? UPSTREAM_ANSWER_MS,
    }
    // Not ended by who asked for it first: others wait for it, too.
    const closing = { signal: this.#closing.signal }
    const slot: Slot = {
      opening: SftpConnection.open({ clock: this.#clock }, settings, closing),
      connection: undefined,
    }
    slot.opening.then(
      (connection) => {
        slot.connection = connection
      },
      () => undefined, // told to those who wait for it
    )
    return slot
  }

  async #seen(path: string, call: Call): Promise<Seen | undefined> {
    const connection = await this.#connection(call)
    const status = await connection.stat(path, call)
    if (status?.isFile() === true) {
      this.#isRootSeen = true
      return { size: status.size, etag: `"${status.size}-${status.mtime}"` }
    }
    if (!this.#isRootSeen) {
      const root = await connection.stat(this.#root, call)
      if (root?.isDirectory() !== true) {
        throw cacheError('unreachable', this.name, 'is not there: it is no directory')
      }
      this.#isRootSeen = true
    }
    return undefined
  }

  async *#read(path: string, seen: Seen, offset: number, call: Call): AsyncGenerator<Uint8Array> {
    const connection = await this.#connection(call)
    const handle = await connection.ask<Buffer>(
      (sftp, callback) => sftp.open(path, 'r', callback),
      call,
    )
    if (handle === undefined) throw cacheError('broken', this.name, 'has lost a file meanwhile')
    try {
      const piece = async (at: number): Promise<Uint8Array> => {
        const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, seen.size - at))
        let filled = 0
        while (filled < buffer.length) {
          const read = await connection.ask<number>((sftp, callback) => {
            const left = buffer.length - filled
            sftp.read(handle, buffer, filled, left, at + filled, callback)
          }, call)
          if (read === undefined || read === 0) {
            throw cutOff(this.name, 'cut a file short while it was read', at + filled)
          }
          filled += read
        }
        return buffer
      }
      yield* readAhead(offsets(offset, seen.size), PIECES_AT_ONCE, piece)
    } finally {
      await this.#closeHandle(connection, handle)
    }
  }

  async #write(
    connection: SftpConnection,
    path: string,
    body: CacheFileBody,
    call: Call,
  ): Promise<void> {
    const handle = await connection.ask<Buffer>(
      (sftp, callback) => sftp.open(path, 'wx', callback),
      call,
    )
    if (handle === undefined) throw cacheError('broken', this.name, 'makes no file where it should')
    try {
      let at = 0
      const pieces = async function* (cache: string): AsyncGenerator<readonly [Buffer, number]> {
        for await (const whole of wholeBody(body, cache)) {
          for (let from = 0; from < whole.length; from += PIECE_BYTES) {
            // Copied: what is on its way must not change.
            const piece = Buffer.from(whole.subarray(from, from + PIECE_BYTES))
            yield [piece, at]
            at += piece.length
          }
        }
      }
      const sent = readAhead(pieces(this.name), PIECES_AT_ONCE, ([piece, offset]) =>
        this.#do(
          connection,
          (sftp, done) => sftp.write(handle, piece, 0, piece.length, offset, done),
          call,
        ),
      )
      for await (const _ of sent) call.signal.throwIfAborted()
    } finally {
      await this.#closeHandle(connection, handle)
    }
  }

  /** Over a file of that name, at once where the server can do that. */
  async #rename(connection: SftpConnection, from: string, to: string, call: Call): Promise<void> {
    try {
      await this.#do(connection, (sftp, done) => renameOver(sftp, from, to, done), call)
    } catch (error) {
      call.signal.throwIfAborted()
      if (!connection.isOpen) throw error
      // Plain SFTP renames over nothing that is there.
      await connection.ask<boolean>(
        (sftp, callback) => sftp.unlink(to, (it) => callback(it, true)),
        call,
      )
      await this.#do(connection, (sftp, done) => sftp.rename(from, to, done), call)
    }
  }

  async #makeDirectory(connection: SftpConnection, path: string, call: Call): Promise<void> {
    const status = await connection.stat(path, call)
    if (status?.isDirectory() === true) return
    if (path !== dirname(path)) await this.#makeDirectory(connection, dirname(path), call)
    try {
      await this.#do(connection, (sftp, done) => sftp.mkdir(path, done), call)
    } catch (error) {
      call.signal.throwIfAborted()
      // Somebody else may have made it in between.
      if ((await connection.stat(path, call))?.isDirectory() !== true) throw error
    }
  }

  async #closeHandle(connection: SftpConnection, handle: Buffer): Promise<void> {
    const leaving = { signal: this.#closing.signal }
    // What was read is whole, and what was written acknowledged, whatever comes of this.
    await this.#do(connection, (sftp, done) => sftp.close(handle, done), leaving).catch(
      () => undefined,
    )
  }

  /** Makes a request that has no other answer than that it was done. @throws CacheError */
  async #do(
    connection: SftpConnection,
    request: (sftp: SFTPWrapper, done: (error?: Error | null) => void) => void,
    call: Call,
  ): Promise<void> {
    const done = await connection.ask<boolean>(
      (sftp, callback) => request(sftp, (error) => callback(error, true)),
      call,
    )
    if (done !== true) throw cacheError('broken', this.name, 'has lost a file meanwhile')
  }

  #pathOf(name: string): string {
    checkCacheFileName(name, this.name)
    return join(this.#root, name)
  }
}

/** By an extension of OpenSSH; without it, as an error of the server's. */
function renameOver(
  sftp: SFTPWrapper,
  from: string,
  to: string,
  done: (error?: Error | null) => void,
): void {
  try {
    sftp.ext_openssh_rename(from, to, done)
  } catch (error) {
    done(Object.assign(error as Error, { code: OPERATION_UNSUPPORTED }))
  }
}

function* offsets(from: number, size: number): Generator<number> {
  for (let at = from; at < size; at += PIECE_BYTES) yield at
}
