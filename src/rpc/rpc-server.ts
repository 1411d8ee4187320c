import { Server, ServerCredentials } from '@grpc/grpc-js'
import { type Clock, deadline } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { NodeServiceService } from '../generated/cairn/node/v1/node.ts'
import { type NodeServiceComponents, nodeService } from './node-service.ts'
import { RPC_OPTIONS } from './rpc-options.ts'

/** How long a stopping server lets calls finish that are under way. */
export const DRAIN_MS = 5_000

/** Where the server listens; `localhost` means both address families. */
export interface RpcInit {
  readonly host: string
  readonly port: number
}

/** The gRPC server. */
export class RpcServer implements Service {
  readonly name = 'rpc'
  readonly #clock: Clock
  readonly #log: Log
  readonly #init: RpcInit
  readonly #server = new Server(RPC_OPTIONS)
  #port: number

  constructor(components: NodeServiceComponents, init: RpcInit) {
    this.#clock = components.clock
    this.#log = components.log
    this.#init = init
    this.#port = init.port
    this.#server.addService(NodeServiceService, nodeService(components))
  }

  /** `host:port` for clients; the port is the real one once it has started. */
  get address(): string {
    return `${this.#init.host}:${this.#port}`
  }

  async start(): Promise<void> {
    const [first, ...others] =
      this.#init.host === 'localhost' ? ['127.0.0.1', '[::1]'] : [this.#init.host]
    this.#port = await this.#bind(first!)
    for (const host of others) {
      // A machine without IPv6 is none the worse for it.
      await this.#bind(host).catch((error) => this.#log.debug('not bound', { host, error }))
    }
    this.#log.info('rpc listens', { address: this.address })
  }

  /** Takes no new calls; those under way finish, or are cut after {@link DRAIN_MS}. */
  async stop(): Promise<void> {
    const limit = deadline(this.#clock, DRAIN_MS, 'finishing the calls under way')
    limit.signal.addEventListener('abort', () => this.#server.forceShutdown())
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)))
    try {
      await promise
    } finally {
      limit.clear()
    }
  }

  async #bind(host: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const credentials = ServerCredentials.createInsecure()
    this.#server.bindAsync(`${host}:${this.#port}`, credentials, (error, port) => {
      if (error === null) return resolve(port)
      const where = `${host}:${this.#port}`
      const what = `the gRPC server can not listen at ${where}: ${error.message}`
      return reject(new Error(what, { cause: error }))
    })
    return await promise
  }
}
