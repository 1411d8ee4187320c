import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import type { Call } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import { MessagePull } from '../message-pull.ts'
import { REMOTE_ANSWER_MS, REMOTE_WORK_MS } from '../rpc-limits.ts'
import { CLIENT_OPTIONS } from '../rpc-options.ts'
import { StallWatch } from '../stall-watch.ts'
import { encoded, type WireCodec } from '../wire-codec.ts'
import { type Family, SERVICE_METHODS, serviceName, wireMethod } from '../wire-service.ts'
import { badAnswer, RemoteError, remoteError } from './remote-error.ts'
import { RemoteUpload } from './remote-upload.ts'

/** Where a remote store is, and how it is talked to. */
export interface RemoteInit {
  /** `HOST:PORT`, or `unix:/path/of/the/socket`. */
  readonly address: string
  /** Whether it is encrypted, by certificates that this machine trusts; not by default. */
  readonly isSecure?: boolean
  /** Which names the services go by there; tvix by default, which cairn and tvix both answer to. */
  readonly family?: Family
  /** A token of that node, without which only its own machine may write. */
  readonly token?: string
  /** How long it may give no sign of life; {@link REMOTE_ANSWER_MS} by default. */
  readonly answerMs?: number
  /** The same for what takes work before it can be answered; {@link REMOTE_WORK_MS} by default. */
  readonly workMs?: number
}

/** A method of a remote service, and what goes there and comes back. */
export interface RemoteMethod<Q, A> {
  readonly service: keyof typeof SERVICE_METHODS
  readonly method: string
  /** Whether much work may come before the answer. */
  readonly slow?: boolean
  readonly request: Pick<WireCodec<Q>, 'encode'>
  readonly response: Pick<WireCodec<A>, 'decode'>
}

/** A connection to a remote store; it connects when it is first used, and again when it has to. */
export class RemoteChannel implements Disposable {
  readonly address: string
  readonly #clock: Clock
  readonly #family: Family
  readonly #answerMs: number
  readonly #workMs: number
  readonly #client: Client
  readonly #metadata = new Metadata()

  constructor(components: { clock: Clock }, init: RemoteInit) {
    this.#clock = components.clock
    this.address = init.address
    this.#family = init.family ?? 'tvix'
    this.#answerMs = init.answerMs ?? REMOTE_ANSWER_MS
    this.#workMs = init.workMs ?? REMOTE_WORK_MS
    const trust = init.isSecure === true ? credentials.createSsl() : credentials.createInsecure()
    this.#client = new Client(init.address, trust, CLIENT_OPTIONS)
    if (init.token !== undefined) this.#metadata.set('authorization', `Bearer ${init.token}`)
  }

  /** One message for one; undefined where the other side says NOT_FOUND. @throws RemoteError */
  async unary<Q, A>(to: RemoteMethod<Q, A>, request: Q, call: Call): Promise<A | undefined> {
    call.signal.throwIfAborted()
    const { abort, watch, ended } = this.#begin(call, to.slow)
    using _ended = ended
    const { path, requestSerialize, responseDeserialize } = this.#method(to)
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
    const message = encoded(to.request, request)
    const done = (error: ServiceError | null, answer?: Buffer): void => {
      if (error === null) resolve(answer)
      else if (error.code === status.NOT_FOUND) resolve(undefined)
      else reject(remoteError(error, this.address))
    }
    const running = this.#client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      message,
      this.#metadata,
      done,
    )
    abort.signal.addEventListener('abort', () => running.cancel(), { once: true })
    const answer = await watch.during(unlessAborted(promise, abort.signal))
    return answer === undefined ? undefined : this.#decoded(to, answer)
  }

  /**
   * One message for many, asked for one at a time; `onAbsent` where the other side says NOT_FOUND.
   * @throws RemoteError
   */
  async *download<Q, A>(
    to: RemoteMethod<Q, A>,
    request: Q,
    onAbsent: () => void,
    call: Call,
  ): AsyncGenerator<A> {
    call.signal.throwIfAborted()
    const { abort, watch, ended } = this.#begin(call)
    using _ended = ended
    const { path, requestSerialize, responseDeserialize } = this.#method(to)
    const message = encoded(to.request, request)
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      message,
      this.#metadata,
    )
    const pull = new MessagePull({ stream, watch })
    try {
      for await (const bytes of pull.messages(abort)) yield this.#decoded(to, bytes)
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason
      if (error instanceof RemoteError) throw error
      if ((error as ServiceError).code !== status.NOT_FOUND) {
        throw remoteError(error as ServiceError, this.address)
      }
      onAbsent()
    } finally {
      stream.cancel()
    }
  }

  /** Many messages for one. */
  upload<Q, A>(to: RemoteMethod<Q, A>): RemoteUpload<Q, A> {
    const begin = (call: Call) => this.#begin(call)
    return new RemoteUpload(
      { client: this.#client, metadata: this.#metadata, begin },
      { method: this.#method(to), to, address: this.address },
    )
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  /** What ends a call: the caller's wish, or silence of the other side. */
  #begin(
    call: Call,
    slow = false,
  ): { abort: AbortController; watch: StallWatch; ended: Disposable } {
    const abort = new AbortController()
    const { address } = this
    const ms = slow ? this.#workMs : this.#answerMs
    const onStall = (cause: Error): void => {
      const what = `${address} gave no sign of life for ${ms} ms`
      abort.abort(new RemoteError({ code: 'timeout', address }, what, { cause }))
    }
    const what = `waiting for ${address}`
    const watch = new StallWatch({ clock: this.#clock }, { ms, what, onStall })
    const onAbort = (): void => abort.abort(call.signal.reason)
    call.signal.addEventListener('abort', onAbort, { once: true })
    const end = (): void => {
      call.signal.removeEventListener('abort', onAbort)
      watch[Symbol.dispose]()
    }
    return { abort, watch, ended: { [Symbol.dispose]: end } }
  }

  #method<Q, A>({ service, method }: RemoteMethod<Q, A>) {
    const kinds: Readonly<Record<string, 'unary' | 'download' | 'upload'>> =
      SERVICE_METHODS[service]
    return wireMethod(serviceName(this.#family, service), method, kinds[method] ?? 'unary')
  }

  #decoded<Q, A>(to: RemoteMethod<Q, A>, bytes: Buffer): A {
    try {
      return to.response.decode(bytes)
    } catch (cause) {
      throw badAnswer(this.address, 'sent something that is no such message', cause)
    }
  }
}
