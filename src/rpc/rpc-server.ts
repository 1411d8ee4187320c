import { createServer, type Server as NetServer } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import type { Leases } from '../castore/leases.ts'
import type { AccessTokens } from '../foundation/access-token.ts'
import { deadline } from '../foundation/clock.ts'
import {
  boundAddress,
  type ListenAddress,
  renderListenAddress,
} from '../foundation/listen-address.ts'
import { listenAt } from '../foundation/listening.ts'
import type { Service } from '../foundation/service.ts'
import type { ReadAccess } from '../pathinfo/read-access.ts'
import { blobService } from './blob-service.ts'
import { CallHandlers } from './call-handlers.ts'
import { CallWatch } from './call-watch.ts'
import { Callers } from './callers.ts'
import { Connections, type ConnectionsInit } from './connections.ts'
import { directoryService } from './directory-service.ts'
import { type NodeServiceComponents, nodeService } from './node-service.ts'
import { type PathInfoServiceComponents, pathInfoService } from './path-info-service.ts'
import { type PushCallsComponents, pushCalls } from './push-calls.ts'
import { Readers } from './readers.ts'
import { ReceiveWindow } from './receive-window.ts'
import { addReflection } from './reflection.ts'
import { DRAIN_MS } from './rpc-limits.ts'
import { SERVER_OPTIONS } from './rpc-options.ts'
import { type SeedCallsComponents, seedCalls } from './seed-calls.ts'
import { type UpkeepCallsComponents, upkeepCalls } from './upkeep-calls.ts'
import {
  FAMILIES,
  NODE_METHODS,
  SERVICE_METHODS,
  serviceName,
  wireService,
} from './wire-service.ts'

/** What the server works with. */
export interface RpcServerComponents
  extends NodeServiceComponents,
    UpkeepCallsComponents,
    Omit<SeedCallsComponents, 'pathInfos' | 'upkeep'>,
    Omit<PushCallsComponents, 'pathInfos'>,
    Omit<PathInfoServiceComponents, 'readers'> {
  readonly leases: Leases
  readonly others: ReadAccess
  /** Tokens by which clients on other machines are the owner, too. */
  readonly tokens: Pick<AccessTokens, 'holderOfHeader'>
}

/** Where the server listens; the host `localhost` means both address families. */
export interface RpcInit extends ConnectionsInit {
  readonly address: ListenAddress
}

/**
 * The gRPC server: the services of tvix under their old and their new names, the command line's
 * own, reflection and health. Who is on this machine is known by the socket that a call came by.
 */
export class RpcServer implements Service {
  readonly name = 'rpc'
  readonly #components: RpcServerComponents
  readonly #init: RpcInit
  readonly #connections: Connections
  readonly #watch: CallWatch
  readonly #window: ReceiveWindow
  readonly #server: Server
  readonly #injector: ReturnType<Server['createConnectionInjector']>
  readonly #health = new HealthImplementation()
  readonly #services: string[] = ['']
  readonly #listeners: NetServer[] = []

  constructor(components: RpcServerComponents, init: RpcInit) {
    this.#components = components
    this.#init = init
    this.#connections = new Connections(components, init)
    this.#watch = new CallWatch({ connections: this.#connections })
    this.#window = new ReceiveWindow({ connections: this.#connections })
    this.#server = new Server({ ...SERVER_OPTIONS, interceptors: [this.#watch.interceptor] })
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#addServices()
  }

  /** What clients connect to, with the real port once it has started. */
  get address(): string {
    return renderListenAddress(boundAddress(this.#init.address, this.#listeners[0]?.address()))
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size
  }

  async start(): Promise<void> {
    const { address } = this.#init
    const { log } = this.#components
    if (address.kind !== 'tcp' || address.host !== 'localhost') {
      await this.#listen(address)
    } else {
      const { port } = await this.#listen({ ...address, host: '127.0.0.1' })
      // A machine without IPv6 is none the worse for it.
      await this.#listen({ kind: 'tcp', host: '::1', port }).catch((error) => {
        log.debug('not bound', { host: '::1', error })
      })
    }
    this.#window.start()
    for (const service of this.#services) this.#health.setStatus(service, 'SERVING')
    log.info('rpc listens', { address: this.address })
  }

  /** Takes no new calls; those under way finish, or are cut after {@link DRAIN_MS}. */
  async stop(): Promise<void> {
    for (const service of this.#services) this.#health.setStatus(service, 'NOT_SERVING')
    for (const listener of this.#listeners) listener.close()
    const limit = deadline(this.#components.clock, DRAIN_MS, 'finishing the calls under way')
    limit.signal.addEventListener('abort', () => this.#server.forceShutdown())
    this.#watch.endOpenEnded()
    this.#injector.drain(DRAIN_MS)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)))
    try {
      await promise
    } finally {
      this.#window.stop()
      limit.clear()
    }
  }

  #addServices(): void {
    const { tokens, clock, log, leases } = this.#components
    const callers = new Callers({ connections: this.#connections, tokens })
    const handlers = new CallHandlers({ callers, clock, log, leases })
    // Who waits for all leases to end can not hold one.
    const waiting = new CallHandlers({ callers, clock, log })
    const reading = { ...this.#components, readers: new Readers(this.#components) }
    const services = {
      BlobService: blobService(reading, handlers),
      DirectoryService: directoryService(reading, handlers),
      PathInfoService: pathInfoService(reading, handlers),
    }
    for (const family of FAMILIES) {
      for (const name of Object.keys(services) as (keyof typeof services)[]) {
        const full = serviceName(family, name)
        this.#server.addService(wireService(full, SERVICE_METHODS[name]), services[name])
        this.#services.push(full)
      }
    }
    const node = 'cairn.node.v1.NodeService'
    this.#server.addService(wireService(node, NODE_METHODS), {
      ...nodeService(this.#components, handlers),
      ...upkeepCalls(this.#components, waiting),
      ...seedCalls(this.#components, waiting),
      ...pushCalls(this.#components, handlers),
    })
    this.#services.push(node)
    this.#health.addToServer(this.#server)
    addReflection(this.#server)
  }

  async #listen(address: ListenAddress): Promise<{ port: number }> {
    const listener = createServer((socket) => {
      if (this.#connections.admit(socket)) this.#injector.injectConnection(socket)
    })
    await listenAt(listener, address).catch((cause) => {
      throw new Error(`the gRPC server ${cause.message}`, { cause })
    })
    this.#listeners.push(listener)
    return { port: (listener.address() as { port?: number }).port ?? 0 }
  }
}
