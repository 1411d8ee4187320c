import type { Client, ClientWritableStream, Metadata, ServiceError } from '@grpc/grpc-js'
import type { Call } from '../../foundation/call.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import { MessagePush } from '../message-push.ts'
import type { StallWatch } from '../stall-watch.ts'
import { encoded, type WireCodec } from '../wire-codec.ts'
import type { WireMethod } from '../wire-service.ts'
import { badAnswer, remoteError } from './remote-error.ts'

/** What ends a call, and what notices that the other side is silent. */
interface Begun {
  readonly abort: AbortController
  readonly watch: StallWatch
  readonly ended: Disposable
}

interface Running extends Begun {
  readonly stream: ClientWritableStream<Buffer>
  readonly push: MessagePush
  readonly answer: Promise<Buffer>
}

/**
 * Many messages that become one answer. It begins with the first message, and ends when its signal
 * is aborted, at whatever point: the signal of the call that began it counts to the end. Disposing
 * of it before `finish` takes it back.
 */
export class RemoteUpload<Q, A> implements AsyncDisposable {
  readonly #client: Client
  readonly #metadata: Metadata
  readonly #begin: (call: Call) => Begun
  readonly #method: WireMethod
  readonly #request: Pick<WireCodec<Q>, 'encode'>
  readonly #response: Pick<WireCodec<A>, 'decode'>
  readonly #address: string
  #running: Running | undefined

  constructor(
    components: { client: Client; metadata: Metadata; begin: (call: Call) => Begun },
    init: {
      method: WireMethod
      to: { request: Pick<WireCodec<Q>, 'encode'>; response: Pick<WireCodec<A>, 'decode'> }
      address: string
    },
  ) {
    this.#client = components.client
    this.#metadata = components.metadata
    this.#begin = components.begin
    this.#method = init.method
    this.#request = init.to.request
    this.#response = init.to.response
    this.#address = init.address
  }

  /** Sends a message, no faster than the other side takes them. @throws RemoteError */
  async send(message: Q, call: Call): Promise<void> {
    call.signal.throwIfAborted()
    const { push, abort } = this.#started(call)
    await unlessAborted(push.send(encoded(this.#request, message), abort), call.signal)
  }

  /** Ends the upload and says what became of it. @throws RemoteError */
  async finish(call: Call): Promise<A> {
    call.signal.throwIfAborted()
    const { stream, watch, abort, answer } = this.#started(call)
    stream.end()
    const answered = unlessAborted(answer, abort.signal)
    const bytes = await unlessAborted(watch.during(answered), call.signal)
    try {
      return this.#response.decode(bytes)
    } catch (cause) {
      throw badAnswer(this.#address, 'sent something that is no such message', cause)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running?.ended[Symbol.dispose]()
    this.#running?.stream.cancel()
  }

  #started(call: Call): Running {
    if (this.#running !== undefined) return this.#running
    const begun = this.#begin(call)
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    promise.catch(() => undefined) // thrown where it is awaited
    const done = (error: ServiceError | null, answer?: Buffer): void => {
      begun.ended[Symbol.dispose]()
      if (error === null && answer !== undefined) {
        resolve(answer)
        return
      }
      const silent = badAnswer(this.#address, 'ended the call without an answer')
      const fault = error === null ? silent : remoteError(error, this.#address)
      reject(fault)
      begun.abort.abort(fault) // whoever is sending need not go on
    }
    const { path, requestSerialize, responseDeserialize } = this.#method
    const stream = this.#client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.#metadata,
      done,
    )
    begun.abort.signal.addEventListener('abort', () => stream.cancel(), { once: true })
    const push = new MessagePush({ stream, watch: begun.watch })
    this.#running = { ...begun, stream, push, answer: promise }
    return this.#running
  }
}
