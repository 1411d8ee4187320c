import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
// Types only: the package is loaded once somebody has such a cache.
import type { Client, ConnectConfig, SFTPWrapper, Stats } from 'ssh2'
import { type Call, narrowedCall } from '../foundation/call.ts'
import { type Clock, DeadlineError, withDeadline } from '../foundation/clock.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import { systemErrorCode } from '../foundation/system-error.ts'
import { CacheError, cacheError } from './cache-error.ts'
import { KnownHosts } from './known-hosts.ts'
import type { UpstreamLocation } from './upstream-url.ts'

/** How often a quiet connection is tried, in milliseconds. */
export const SFTP_KEEPALIVE_MS = 15_000

/** How many tries in turn may stay without an answer. */
const KEEPALIVES_LOST_MAX = 2

/** Numbers of the SFTP protocol's answers (draft-ietf-secsh-filexfer-02 §7). */
const NO_SUCH_FILE = 2
const PERMISSION_DENIED = 3

/** How one machine is reached. */
export interface SftpConnectionInit {
  readonly name: string
  readonly location: Extract<UpstreamLocation, { kind: 'sftp' }>
  /** Longest wait for the connection, in ms. */
  readonly connectMs: number
  /** Longest wait for the answer to a request, in ms. */
  readonly answerMs: number
  readonly knownHostsFiles: readonly string[]
  /** Private keys to try where the URL names none; those that are not there are passed over. */
  readonly keyFiles: readonly string[]
  /** The socket of an SSH agent. */
  readonly agent?: string | undefined
}

/** Calls back with an error, or with what came of a request. */
type Callback<T> = (error: Error | null | undefined, result: T) => void

/** A connection to one machine, on which requests are made at once. */
export class SftpConnection {
  readonly #clock: Clock
  readonly #init: SftpConnectionInit
  readonly #client: Client
  readonly #sftp: SFTPWrapper
  /** Aborted once the connection has gone: what was asked on it is not answered any more. */
  readonly #gone = new AbortController()

  private constructor(clock: Clock, init: SftpConnectionInit, client: Client, sftp: SFTPWrapper) {
    this.#clock = clock
    this.#init = init
    this.#client = client
    this.#sftp = sftp
    client.on('close', () => this.close())
    client.on('error', () => this.close())
    sftp.on('error', () => this.close())
  }

  /** Connects, having checked that the machine is the one that is known. @throws CacheError */
  static async open(
    components: { readonly clock: Clock },
    init: SftpConnectionInit,
    call: Call,
  ): Promise<SftpConnection> {
    const { Client } = await import('ssh2')
    const { config, refusal } = await configOf(init)
    const client = new Client()
    const what = `connecting to ${init.name}`
    try {
      const sftp = await withDeadline(components.clock, init.connectMs, what, call, (timed) =>
        unlessAborted(connected(client, config), timed.signal),
      )
      return new SftpConnection(components.clock, init, client, sftp)
    } catch (error) {
      client.on('error', () => undefined) // of what it does until it is gone
      client.destroy()
      call.signal.throwIfAborted()
      throw refusal() ?? connectError(init.name, error)
    }
  }

  /** Whether it can be used still. */
  get isOpen(): boolean {
    return !this.#gone.signal.aborted
  }

  /**
   * Makes one request; undefined where there is no file of that name.
   * @throws CacheError; the call's reason
   */
  async ask<T>(
    request: (sftp: SFTPWrapper, callback: Callback<T>) => void,
    call: Call,
  ): Promise<T | undefined> {
    call.signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const { name, answerMs } = this.#init
    try {
      const open = narrowedCall(call, this.#gone.signal)
      return await withDeadline(this.#clock, answerMs, `asking ${name}`, open, (timed) => {
        // Of a connection that has gone the request itself throws.
        request(this.#sftp, (error, result) => (error ? reject(error) : resolve(result)))
        return unlessAborted(promise, timed.signal)
      })
    } catch (error) {
      promise.catch(() => undefined) // nobody waits for it any more
      call.signal.throwIfAborted()
      const { code } = error as { readonly code?: unknown }
      if (code === NO_SUCH_FILE) return undefined
      if (code === PERMISSION_DENIED) {
        throw cacheError('refused', name, 'does not permit it', error)
      }
      if (typeof code === 'number') {
        throw cacheError(
          'broken',
          name,
          `answered with an error: ${(error as Error).message}`,
          error,
        )
      }
      this.close()
      throw cacheError('unreachable', name, 'did not answer', error)
    }
  }

  /** What is to be known of a file; undefined where there is none. */
  async stat(path: string, call: Call): Promise<Stats | undefined> {
    return await this.ask<Stats>((sftp, callback) => sftp.stat(path, callback), call)
  }

  close(): void {
    this.#gone.abort(new Error('the connection has gone'))
    this.#client.destroy()
  }
}

function connected(client: Client, config: ConnectConfig): Promise<SFTPWrapper> {
  const { promise, resolve, reject } = Promise.withResolvers<SFTPWrapper>()
  promise.catch(() => undefined) // whoever waited may have left
  client.once('error', reject)
  client.once('close', () => reject(new Error('the connection was closed')))
  client.once('ready', () => client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp))))
  // Requests are short: held back for the answer to those before, each of them takes 40 ms.
  client.once('connect', () => client.setNoDelay(true))
  client.connect(config)
  return promise
}

/** How to connect, and why it was refused where it is we who refused. */
async function configOf(
  init: SftpConnectionInit,
): Promise<{ readonly config: ConnectConfig; readonly refusal: () => CacheError | undefined }> {
  const { host, port, user } = init.location
  const texts = await Promise.all(init.knownHostsFiles.map((it) => textOf(init.name, it)))
  const known = KnownHosts.parse(texts.join('\n')).of(host, port)
  const at = port === 22 ? host : `-p ${port} ${host}`
  const [file = 'known_hosts'] = init.knownHostsFiles
  const add = `to add it, compare its key with what its owner says: ssh-keyscan ${at} >> ${file}`
  if (known.keyTypes.length === 0) {
    throw cacheError('refused', init.name, `is not a known host: ${add}`)
  }
  let refusal: CacheError | undefined
  const privateKey = await keyOf(init)
  const config: ConnectConfig = {
    host,
    port,
    username: user ?? userInfo().username,
    readyTimeout: 0, // ours counts, by our clock
    keepaliveInterval: SFTP_KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVES_LOST_MAX,
    // A host that is known by one key shall not be asked for another.
    algorithms: { serverHostKey: algorithmsOf(known.keyTypes) },
    hostVerifier: (key: Buffer) => {
      if (known.isKnownBy(key)) return true
      const what = 'does not have the key that is known of it: it is another machine, or has'
      refusal = cacheError('refused', init.name, `${what} a new key (remove the old one; ${add})`)
      return false
    },
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(init.agent === undefined || init.location.keyFile !== undefined
      ? {}
      : { agent: init.agent }),
  }
  return { config, refusal: () => refusal }
}

type HostKeyAlgorithms = Extract<
  NonNullable<NonNullable<ConnectConfig['algorithms']>['serverHostKey']>,
  readonly unknown[]
>

/** An RSA key signs by several algorithms; the oldest, with SHA-1, is not taken. */
function algorithmsOf(keyTypes: readonly string[]): HostKeyAlgorithms {
  const all = keyTypes.flatMap((it) => (it === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [it]))
  return all as HostKeyAlgorithms
}

async function keyOf(init: SftpConnectionInit): Promise<Buffer | undefined> {
  const { keyFile } = init.location
  for (const path of keyFile === undefined ? init.keyFiles : [keyFile]) {
    try {
      return await readFile(path)
    } catch (error) {
      if (keyFile === undefined && systemErrorCode(error) === 'ENOENT') continue
      const what = `needs the key ${path}, which can not be read: ${systemErrorCode(error)}`
      throw cacheError('refused', init.name, what, error)
    }
  }
  return undefined
}

async function textOf(name: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return ''
    const what = `can not be told from others: ${path} can not be read`
    throw cacheError('refused', name, what, error)
  }
}

function connectError(name: string, error: unknown): CacheError {
  if (error instanceof CacheError) return error
  const { level, message } = error as { readonly level?: unknown; readonly message: string }
  if (level === 'client-authentication') {
    return cacheError('refused', name, 'takes none of our keys', error)
  }
  if (/passphrase|privateKey/.test(message)) {
    const what = 'needs a key that is not behind a passphrase (an SSH agent can hold such a one)'
    return cacheError('refused', name, what, error)
  }
  const what = systemErrorCode(error) ?? (error instanceof DeadlineError ? 'silence' : message)
  if (level === 'protocol' || level === 'handshake') {
    return cacheError('broken', name, `does not talk SSH as we do: ${message}`, error)
  }
  return cacheError('unreachable', name, `can not be reached: ${what}`, error)
}
