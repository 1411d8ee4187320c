import type { Socket } from 'node:net'
import type { Clock } from '../foundation/clock.ts'
import { isLocal } from '../foundation/listening.ts'
import type { Log } from '../foundation/log.ts'
import {
  CONNECTION_IDLE_MS,
  CONNECTION_LINGER_MS,
  LOCAL_CONNECTIONS_MAX,
  PREFACE_MS,
  REMOTE_CONNECTIONS_MAX,
} from './rpc-limits.ts'

/** Bytes that every HTTP/2 client begins with: the preface, and the head of a SETTINGS frame. */
const PREFACE_BYTES = 24 + 9

/** How {@link Connections} is tuned. */
export interface ConnectionsInit {
  /** How many from other machines at once; {@link REMOTE_CONNECTIONS_MAX} by default. */
  readonly remoteMax?: number
  /** How many from this machine at once; {@link LOCAL_CONNECTIONS_MAX} by default. */
  readonly localMax?: number
  /** Which clients are on this machine; by the addresses of the socket by default. */
  readonly isLocal?: (socket: Socket) => boolean
}

/** One connection of a client. */
export class Connection {
  /** What gRPC calls the peer. */
  readonly id: string
  /** Whether the client is on this machine. */
  readonly isLocal: boolean
  readonly #clock: Clock
  #calls = 0
  #lastActive: number

  constructor(components: { clock: Clock }, init: { id: string; isLocal: boolean }) {
    this.#clock = components.clock
    this.id = init.id
    this.isLocal = init.isLocal
    this.#lastActive = this.#clock.now()
  }

  /** For how long nothing has been going on, 0 while a call is under way. */
  get idleMs(): number {
    return this.#calls > 0 ? 0 : this.#clock.now() - this.#lastActive
  }

  /** A message has come. */
  touch(): void {
    this.#lastActive = this.#clock.now()
  }

  /** A call is under way until the result is disposed of. */
  beginCall(): Disposable {
    this.#calls++
    let under = true
    return {
      [Symbol.dispose]: () => {
        if (!under) return
        under = false
        this.#calls--
        this.touch()
      },
    }
  }
}

/**
 * The connections of the server: how many there may be, whose they are, and which are cut. One that
 * does not even begin as HTTP/2 does is cut after {@link PREFACE_MS}, one without a call some time
 * after gRPC has asked it to go, whatever it keeps open.
 */
export class Connections {
  readonly #clock: Clock
  readonly #log: Log
  readonly #remoteMax: number
  readonly #localMax: number
  readonly #isLocal: (socket: Socket) => boolean
  readonly #open = new Map<string, Connection>()
  #count = 0

  constructor(components: { clock: Clock; log: Log }, init: ConnectionsInit = {}) {
    this.#clock = components.clock
    this.#log = components.log
    this.#remoteMax = init.remoteMax ?? REMOTE_CONNECTIONS_MAX
    this.#localMax = init.localMax ?? LOCAL_CONNECTIONS_MAX
    this.#isLocal = init.isLocal ?? isLocal
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** The connection that gRPC calls by that name. */
  of(peer: string): Connection | undefined {
    return this.#open.get(peer)
  }

  /** Takes a connection in, until it closes; false where there are too many: it is cut then. */
  admit(socket: Socket): boolean {
    const local = this.#isLocal(socket)
    const address = socket.remoteAddress
    const others = [...this.#open.values()].filter((it) => it.isLocal === local).length
    if (others >= (local ? this.#localMax : this.#remoteMax)) {
      this.#log.warn('too many connections', { address, local })
      socket.destroy()
      return false
    }
    const id = `connection-${++this.#count}`
    const connection = new Connection({ clock: this.#clock }, { id, isLocal: local })
    // gRPC tells handlers the remote address of a call's socket and nothing else about it: none at
    // all for a Unix socket, nor for a TCP socket whose client has left meanwhile.
    Object.defineProperty(socket, 'remoteAddress', { value: id })
    Object.defineProperty(socket, 'remotePort', { value: undefined })
    this.#open.set(id, connection)
    const closed = new AbortController()
    socket.once('close', () => {
      this.#open.delete(id)
      closed.abort()
    })
    this.#guard(connection, socket, closed).catch(() => undefined) // it has closed by itself
    return true
  }

  async #guard(connection: Connection, socket: Socket, closed: AbortController): Promise<void> {
    await this.#clock.sleep(PREFACE_MS, closed)
    if (socket.bytesRead < PREFACE_BYTES) return this.#cut(socket, 'it says nothing')
    const idleMsMax = CONNECTION_IDLE_MS + CONNECTION_LINGER_MS
    while (connection.idleMs < idleMsMax) {
      await this.#clock.sleep(idleMsMax - connection.idleMs, closed)
    }
    this.#cut(socket, 'it is idle')
  }

  #cut(socket: Socket, why: string): void {
    this.#log.debug('connection cut', { why })
    socket.destroy()
  }
}
