import type { AddressInfo } from 'node:net'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { type Clock, deadline } from '../foundation/clock.ts'
import { type ListenAddress, renderListenAddress } from '../foundation/listen-address.ts'
import { listenAt } from '../foundation/listening.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import { CACHE_INFO_NAME, renderCacheInfo } from '../nix/cache-info.ts'
import { STORE_DIRECTORY } from '../nix/store-path.ts'
import type { GatewayComponents } from './gateway-components.ts'
import { GatewayError, statusOf } from './gateway-error.ts'
import { narInfoRoutes } from './nar-info-routes.ts'
import { narRoutes } from './nar-routes.ts'

/** What the cache says of its own priority: asked before cache.nixos.org, which has 40. */
export const PRIORITY = 30

/** How long a stopping gateway lets answers finish that are under way. */
export const DRAIN_MS = 5_000

/** How long a client may take to send a request's headers. */
const HEADERS_MS = 10_000

/** For how long a connection may idle between two requests. */
const KEEP_ALIVE_MS = 75_000

/** Characters of the longest path in a URL: a symlink root has the longest. */
const URL_LENGTH_MAX = 8_192

/** Where the gateway listens. */
export interface GatewayInit {
  readonly address: ListenAddress
}

/** The HTTP binary cache that Nix talks to, in both directions. */
export class Gateway implements Service {
  readonly name = 'gateway'
  readonly #log: Log
  readonly #clock: Clock
  readonly #init: GatewayInit
  readonly #app: FastifyInstance
  #isStopping = false

  constructor(components: GatewayComponents & { readonly clock: Clock }, init: GatewayInit) {
    this.#clock = components.clock
    this.#log = components.log
    this.#init = init
    this.#app = makeApp(components)
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

  async start(): Promise<void> {
    await this.#app.ready()
    await listenAt(this.#app.server, this.#init.address).catch((cause) => {
      throw new Error(`the gateway ${cause.message}`, { cause })
    })
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
    }
  }
}

function urlOf(address: ListenAddress, bound: string | AddressInfo | null): string {
  if (typeof bound === 'string') return `unix:${bound}`
  if (bound === null) return renderListenAddress(address)
  const host = address.kind === 'tcp' ? address.host : bound.address
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`
}

function makeApp(components: GatewayComponents): FastifyInstance {
  const { log } = components
  const app = fastify({
    connectionTimeout: 0, // a NAR may take as long as it takes, while it moves
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: 0,
    routerOptions: { maxParamLength: URL_LENGTH_MAX },
    http: { headersTimeout: HEADERS_MS, maxHeaderSize: 2 * URL_LENGTH_MAX },
  })
  // Bodies are streamed by whoever takes them in; Fastify reads none of them.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler((error: unknown, request, reply) => {
    const status = statusFor(error, request.method)
    const why = error instanceof Error ? error.message : String(error)
    if (isExpected(error)) log.debug('request refused', { url: request.url, status, why })
    else log.error('request failed', { url: request.url, status, error })
    if (error instanceof GatewayError && error.fault.code === 'range-unsatisfiable') {
      reply.header('content-range', `bytes */${error.fault.size}`)
    }
    for (const header of ['content-length', 'accept-ranges']) reply.removeHeader(header)
    // What is left of the body is not read: the connection can not be used again.
    if (!request.raw.complete) reply.header('connection', 'close')
    return reply.code(status).type('text/plain').send(`${why}\n`)
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain').send('absent\n'))

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
  narInfoRoutes(app, components)
  narRoutes(app, components)
  return app
}

/**
 * Nix retries 5xx five times and then gives the cache up, while 404 makes it go on to the next one:
 * what can not be read is absent. What can not be written is not so.
 */
function statusFor(error: unknown, method: string): number {
  if (error instanceof GatewayError) return statusOf(error.fault)
  const status = error instanceof Error ? (error as FastifyError).statusCode : undefined
  if (status !== undefined && status < 500) return status
  return method === 'GET' || method === 'HEAD' ? 404 : 500
}

function isExpected(error: unknown): boolean {
  return error instanceof GatewayError
}
