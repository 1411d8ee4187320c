import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { GatewayError } from './gateway-error.ts'
import type { GatewayLimits } from './gateway-limits.ts'

/**
 * Keeps clients from holding on to more than is theirs: too many connections, too many requests at
 * once, answers that nobody takes, and bodies that go on after they were refused. Headers that
 * trickle are Node's to cut, and bodies that stand still those who read them.
 */
export class ConnectionGuard {
  readonly #clock: Clock
  readonly #log: Log
  readonly #limits: GatewayLimits
  readonly #answers = new Map<Socket, Set<ServerResponse>>()
  #underWay = 0
  #connections = 0

  constructor(
    components: { readonly clock: Clock; readonly log: Log },
    init: { readonly limits: GatewayLimits },
  ) {
    this.#clock = components.clock
    this.#log = components.log
    this.#limits = init.limits
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#connections
  }

  /** Watches over an app and its server. */
  guard(app: FastifyInstance): void {
    const server: Server = app.server
    server.maxConnections = this.#limits.connectionsMax
    server.on('connection', (socket: Socket) => {
      this.#connections++
      socket.once('close', () => this.#connections--)
    })
    server.on('drop', () => this.#log.debug('connection refused', { why: 'too many' }))
    server.on('timeout', (socket: Socket) => this.#onQuiet(socket))
    // Who waits for 100 Continue is told so by whoever reads the body, and not before.
    server.on('checkContinue', (request, reply) => server.emit('request', request, reply))
    app.addHook('onRequest', async (request, reply) => {
      this.#begin(request.raw, reply.raw)
      if (this.#underWay <= this.#limits.requestsMax) return
      reply.header('retry-after', 1)
      throw new GatewayError({ code: 'busy' }, 'too many requests at once; come back in a second')
    })
  }

  #begin(request: IncomingMessage, reply: ServerResponse): void {
    const { socket } = request
    this.#underWay++
    const answers = this.#answers.get(socket) ?? new Set()
    this.#answers.set(socket, answers.add(reply))
    reply.once('close', () => {
      this.#underWay--
      answers.delete(reply)
      if (answers.size === 0) this.#answers.delete(socket)
      if (!request.complete && !socket.destroyed) this.#linger(request, socket)
    })
  }

  /** Nothing has moved on a connection for a while. */
  #onQuiet(socket: Socket): void {
    const answers = [...(this.#answers.get(socket) ?? [])]
    const waits = socket.writableLength > 0 || answers.some((it) => it.writableLength > 0)
    if (answers.length > 0 && !waits) {
      socket.setTimeout(this.#limits.stalledReaderMs) // the answer is still being made
      return
    }
    if (waits) this.#log.debug('connection cut', { why: 'nobody takes the answer' })
    socket.destroy()
  }

  /**
   * Lets the rest of a body pass, for a while: were the connection closed at once, its sender would
   * see it broken before it had read the answer.
   */
  #linger(request: IncomingMessage, socket: Socket): void {
    const { lingerMs, lingerBytesMax } = this.#limits
    const over = new AbortController()
    let bytes = 0
    const cut = (): void => {
      if (!request.complete) socket.destroy()
    }
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > lingerBytesMax) cut()
    })
    for (const event of ['end', 'close', 'error'] as const) request.on(event, () => over.abort())
    request.resume()
    this.#clock.sleep(lingerMs, over).then(cut, () => undefined)
  }
}
