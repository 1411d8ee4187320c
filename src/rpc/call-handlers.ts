import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import type { Leases } from '../castore/leases.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Callers, CallOrigin } from './callers.ts'
import { MessagePull } from './message-pull.ts'
import { MessagePush } from './message-push.ts'
import { rpcError, toServiceError } from './rpc-error.ts'
import { STREAM_IDLE_MS } from './rpc-limits.ts'
import { StallWatch } from './stall-watch.ts'
import { decoded, encoded, type WireCodec } from './wire-codec.ts'

/** A call of a client. */
export interface RpcCall extends Call {
  /** Whether the client is this machine's owner. */
  readonly isOwner: boolean
}

/** @throws RpcError 'not-owner' where somebody else calls */
export function ownerOnly(call: RpcCall): void {
  if (call.isOwner) return
  throw rpcError('not-owner', 'only clients on this machine, or with a token, may do that')
}

interface RunningCall extends CallOrigin {
  readonly cancelled: boolean
  getPath(): string
  on(event: 'cancelled', listener: () => void): unknown
}

/** Makes gRPC's handlers of functions: messages decoded, errors translated, nothing piled up. */
export class CallHandlers {
  readonly #callers: Callers
  readonly #clock: Clock
  readonly #log: Log
  /** Each call holds one, so that nothing is collected from under it. */
  readonly #leases: Leases | undefined

  constructor(components: { callers: Callers; clock: Clock; log: Log; leases?: Leases }) {
    this.#leases = components.leases
    this.#callers = components.callers
    this.#clock = components.clock
    this.#log = components.log
  }

  /** One message is answered with one. */
  unary<Q, A>(
    request: Pick<WireCodec<Q>, 'decode'>,
    response: Pick<WireCodec<A>, 'encode'>,
    answer: (message: Q, call: RpcCall) => Promise<A>,
  ): handleUnaryCall<Buffer, Buffer> {
    return (call, callback) => {
      const work = async (): Promise<Buffer> => {
        using _lease = this.#leases?.begin()
        const running = this.#begun(call, new AbortController())
        return encoded(response, await answer(decoded(request, call.request), running))
      }
      work().then(
        (bytes) => callback(null, bytes),
        (error) => callback(this.#failed(error, call)),
      )
    }
  }

  /** One message is answered with many; `send` waits while the client takes none. */
  download<Q, A>(
    request: Pick<WireCodec<Q>, 'decode'>,
    response: Pick<WireCodec<A>, 'encode'>,
    answer: (message: Q, send: (message: A) => Promise<void>, call: RpcCall) => Promise<void>,
  ): handleServerStreamingCall<Buffer, Buffer> {
    return (stream) => {
      const abort = new AbortController()
      const watch = this.#watch(abort, 'waiting for the client to take what it asked for')
      const work = async (): Promise<void> => {
        using _watch = watch
        using _lease = this.#leases?.begin()
        const call = this.#begun(stream, abort)
        const push = new MessagePush({ stream, watch })
        const send = (message: A) => push.send(encoded(response, message), call)
        await answer(decoded(request, stream.request), send, call)
      }
      work().then(
        () => stream.end(),
        // Destroying it would tell the client nothing, which then waits for ever.
        (error) => stream.emit('error', this.#failed(error, stream)),
      )
    }
  }

  /** Many messages are answered with one; the next is asked for when the last is dealt with. */
  upload<Q, A>(
    request: Pick<WireCodec<Q>, 'decode'>,
    response: Pick<WireCodec<A>, 'encode'>,
    answer: (messages: AsyncIterable<Q>, call: RpcCall) => Promise<A>,
  ): handleClientStreamingCall<Buffer, Buffer> {
    return (stream, callback) => {
      const abort = new AbortController()
      const watch = this.#watch(abort, 'waiting for the client to send the rest')
      const pull = new MessagePull({ stream, watch })
      const work = async (): Promise<Buffer> => {
        using _watch = watch
        using _lease = this.#leases?.begin()
        const call = this.#begun(stream, abort)
        return encoded(response, await answer(decodedEach(request, pull.messages(call)), call))
      }
      work().then(
        (bytes) => callback(null, bytes),
        (error) => callback(this.#failed(error, stream)),
      )
    }
  }

  #begun(call: RunningCall, abort: AbortController): RpcCall {
    const cancel = (): void => abort.abort(rpcError('cancelled', 'the client has cancelled'))
    call.on('cancelled', cancel)
    if (call.cancelled) cancel()
    return { signal: abort.signal, isOwner: this.#callers.isOwner(call) }
  }

  #watch(abort: AbortController, what: string): StallWatch {
    const onStall = (error: Error): void => abort.abort(error)
    return new StallWatch({ clock: this.#clock }, { ms: STREAM_IDLE_MS, what, onStall })
  }

  #failed(error: unknown, call: RunningCall): Partial<ServiceError> & Error {
    const told = toServiceError(error)
    const method = call.getPath()
    const ours = told.code === status.INTERNAL || told.code === status.DATA_LOSS
    if (ours) this.#log.error('call failed', { method, error })
    else this.#log.debug('call refused', { method, error })
    return told
  }
}

async function* decodedEach<Q>(
  codec: Pick<WireCodec<Q>, 'decode'>,
  messages: AsyncIterable<Buffer>,
): AsyncGenerator<Q> {
  for await (const message of messages) yield decoded(codec, message)
}
