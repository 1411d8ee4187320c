import { createServer, type Server as NetServer } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { type Clock, deadline } from '../foundation/clock.ts'
import { type ListenAddress, renderListenAddress } from '../foundation/listen-address.ts'
import { listenAt } from '../foundation/listening.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { NodeServiceService } from '../generated/cairn/node/v1/node.ts'
import { type NodeServiceComponents, nodeService } from './node-service.ts'
import { RPC_OPTIONS } from './rpc-options.ts'

/** How long a stopping server lets calls finish that are under way. */
export const DRAIN_MS = 5_000

/** Where the server listens; the host `localhost` means both address families. */
export interface RpcInit {
  readonly address: ListenAddress
}

/** The gRPC server. */
export class RpcServer implements Service {
  readonly name = 'rpc'
  readonly #clock: Clock
  readonly #log: Log
  readonly #init: RpcInit
  readonly #server = new Server(RPC_OPTIONS)
  readonly #injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
  readonly #listeners: NetServer[] = []

  constructor(components: NodeServiceComponents, init: RpcInit) {
    this.#clock = components.clock
    this.#log = components.log
    this.#init = init
    this.#server.addService(NodeServiceService, nodeService(components))
  }

  /** What clients connect to, with the real port once it has started. */
  get address(): string {
    const bound = this.#listeners[0]?.address()
    const { address } = this.#init
    if (typeof bound === 'string') return `unix:${bound}`
    if (bound === undefined || bound === null) return renderListenAddress(address)
    const host = address.kind === 'tcp' ? address.host : bound.address
    return renderListenAddress({ kind: 'tcp', host, port: bound.port })
  }

  async start(): Promise<void> {
    const { address } = this.#init
    if (address.kind !== 'tcp' || address.host !== 'localhost') {
      await this.#listen(address)
    } else {
      const { port } = await this.#listen({ ...address, host: '127.0.0.1' })
      // A machine without IPv6 is none the worse for it.
      await this.#listen({ kind: 'tcp', host: '::1', port }).catch((error) => {
        this.#log.debug('not bound', { host: '::1', error })
      })
    }
    this.#log.info('rpc listens', { address: this.address })
  }

  /** Takes no new calls; those under way finish, or are cut after {@link DRAIN_MS}. */
  async stop(): Promise<void> {
    for (const listener of this.#listeners) listener.close()
    const limit = deadline(this.#clock, DRAIN_MS, 'finishing the calls under way')
    limit.signal.addEventListener('abort', () => this.#server.forceShutdown())
    this.#injector.drain(DRAIN_MS)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)))
    try {
      await promise
    } finally {
      limit.clear()
    }
  }

  async #listen(address: ListenAddress): Promise<{ port: number }> {
    const listener = createServer((socket) => this.#injector.injectConnection(socket))
    await listenAt(listener, address).catch((cause) => {
      throw new Error(`the gRPC server ${cause.message}`, { cause })
    })
    this.#listeners.push(listener)
    return { port: (listener.address() as { port?: number }).port ?? 0 }
  }
}
