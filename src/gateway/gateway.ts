import type { AddressInfo } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { type Clock, deadline } from '../foundation/clock.ts'
import {
  boundAddress,
  type ListenAddress,
  renderListenAddress,
} from '../foundation/listen-address.ts'
import { listenAt } from '../foundation/listening.ts'
import type { Log } from '../foundation/log.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import type { Service } from '../foundation/service.ts'
import { CACHE_INFO_NAME, renderCacheInfo } from '../nix/cache-info.ts'
import { STORE_DIRECTORY } from '../nix/store-path.ts'
import { ConnectionGuard } from './connection-guard.ts'
import { DebugInfoIndex } from './debug-info-index.ts'
import { documentRoutes } from './document-routes.ts'
import { answerError } from './error-answer.ts'
import type { GatewayComponents, RouteComponents } from './gateway-components.ts'
import { GATEWAY_LIMITS, type GatewayLimits } from './gateway-limits.ts'
import { listingRoutes } from './listing-routes.ts'
import { narInfoRoutes } from './nar-info-routes.ts'
import { narRoutes } from './nar-routes.ts'
import { StrangerBudget } from './stranger-budget.ts'
import { WholeRoots } from './whole-roots.ts'

/** What the cache says of its own priority: asked before cache.nixos.org, which has 40. */
export const PRIORITY = 30

/** How long a stopping gateway lets answers finish that are under way. */
export const DRAIN_MS = 5_000

/** Characters of the longest path in a URL: a symlink root has the longest. */
export const URL_LENGTH_MAX = 8_192

/** Where the gateway listens, and what it allows. */
export interface GatewayInit {
  readonly address: ListenAddress
  /** What differs from {@link GATEWAY_LIMITS}. */
  readonly limits?: Partial<GatewayLimits>
}

/** The HTTP binary cache that Nix talks to, in both directions. */
export class Gateway implements Service {
  readonly name = 'gateway'
  readonly #log: Log
  readonly #clock: Clock
  readonly #init: GatewayInit
  readonly #app: FastifyInstance
  readonly #guard: ConnectionGuard
  readonly #debugInfo: DebugInfoIndex
  #isStopping = false

  constructor(components: GatewayComponents, init: GatewayInit) {
    this.#clock = components.clock
    this.#log = components.log
    this.#init = init
    const limits = { ...GATEWAY_LIMITS, ...init.limits }
    this.#app = makeApp(components, limits)
    this.#guard = new ConnectionGuard(components, { limits })
    this.#guard.guard(this.#app)
    this.#debugInfo = new DebugInfoIndex(components)
    this.#app.addHook('onRequest', async (_request, reply) => {
      const lease = components.leases.begin()
      reply.raw.once('close', () => lease[Symbol.dispose]())
    })
    addRoutes(this.#app, { ...components, limits, debugInfo: this.#debugInfo })
    // A connection whose last answer has finished would be kept alive, and hold up the stop.
    this.#app.addHook('onResponse', async () => {
      if (this.#isStopping) setImmediate(() => this.#app.server.closeIdleConnections())
    })
  }

  /**
   * The URL that clients use, with the real port once it has started; `unix:/PATH` where it is a
   * socket file.
   */
  get url(): string {
    return urlOf(this.#init.address, this.#app.server.address())
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#guard.connections
  }

  async start(): Promise<void> {
    await this.#app.ready()
    await listenAt(this.#app.server, this.#init.address).catch((cause) => {
      throw new Error(`the gateway ${cause.message}`, { cause })
    })
    await this.#debugInfo.start()
    this.#log.info('gateway listens', { url: this.url })
  }

  /** Takes no new requests; answers under way finish, or are cut after {@link DRAIN_MS}. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const limit = deadline(this.#clock, DRAIN_MS, 'finishing the answers under way')
    limit.signal.addEventListener('abort', () => this.#app.server.closeAllConnections())
    try {
      await this.#app.close()
    } finally {
      limit.clear()
      await this.#debugInfo.stop()
    }
  }
}

function urlOf(address: ListenAddress, bound: string | AddressInfo | null): string {
  const text = renderListenAddress(boundAddress(address, bound))
  return bound === null || typeof bound === 'string' ? text : `http://${text}`
}

function makeApp(components: GatewayComponents, limits: GatewayLimits): FastifyInstance {
  const { log } = components
  const app = fastify({
    connectionTimeout: limits.stalledReaderMs, // the guard decides what comes of it
    keepAliveTimeout: limits.keepAliveMs,
    requestTimeout: 0, // a NAR may take as long as it takes, while it moves
    routerOptions: { maxParamLength: URL_LENGTH_MAX },
    http: {
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.headersCheckMs,
      maxHeaderSize: 2 * URL_LENGTH_MAX,
    },
  })
  // Bodies are streamed by whoever takes them in; Fastify reads none of them.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, log))
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain').send('absent\n'))
  return app
}

function addRoutes(
  app: FastifyInstance,
  components: Omit<RouteComponents, 'roots' | 'budget' | 'sending'>,
): void {
  app.get(`/${CACHE_INFO_NAME}`, (_request, reply) => {
    reply.type('text/x-nix-cache-info')
    return reply.send(
      renderCacheInfo({
        storeDirectory: STORE_DIRECTORY,
        wantMassQuery: true,
        priority: PRIORITY,
      }),
    )
  })
  const roots = new WholeRoots(components)
  const budget = new StrangerBudget(components, components.limits)
  const sending = new Semaphore(components.limits.narsAtOnceMax)
  const serving = { ...components, roots, budget, sending }
  narInfoRoutes(app, serving)
  narRoutes(app, serving)
  listingRoutes(app, serving)
  documentRoutes(app, serving)
}
