import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Connections } from './connections.ts'
import { RECEIVE_WINDOW_BYTES } from './rpc-limits.ts'

/** Tells of each stream that an HTTP/2 server of this process is about to handle. */
const CHANNEL = 'http2.server.stream.created'

/**
 * Lets clients have {@link RECEIVE_WINDOW_BYTES} on their way instead of HTTP/2's 64 KiB, which
 * would make an upload from another machine wait for a round trip each 64 KiB. grpc-js has an
 * option for it for clients, but none for servers, and keeps its sessions to itself; Node tells of
 * them. Where an older Node does not, uploads are slower and nothing else.
 */
export class ReceiveWindow {
  readonly #connections: Pick<Connections, 'of'>
  readonly #widened = new WeakSet<ServerHttp2Session>()

  constructor(components: { connections: Pick<Connections, 'of'> }) {
    this.#connections = components.connections
  }

  start(): void {
    subscribe(CHANNEL, this.#widen)
  }

  stop(): void {
    unsubscribe(CHANNEL, this.#widen)
  }

  readonly #widen = (message: unknown): void => {
    const { session } = (message as { stream: ServerHttp2Stream }).stream
    const isServer = session !== undefined && 'altsvc' in session
    if (!isServer || this.#widened.has(session as ServerHttp2Session)) return
    const peer = session.socket?.remoteAddress
    if (peer === undefined || this.#connections.of(peer) === undefined) return // of another server
    this.#widened.add(session as ServerHttp2Session)
    session.setLocalWindowSize(RECEIVE_WINDOW_BYTES)
    session.settings({ initialWindowSize: RECEIVE_WINDOW_BYTES })
  }
}
