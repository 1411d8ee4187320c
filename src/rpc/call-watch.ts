import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js'
import type { Connections } from './connections.ts'

/** Calls that end only when the client says so. */
const OPEN_ENDED =
  /^\/(grpc\.(reflection\.|health\.v1\.Health\/Watch$)|cairn\.node\.v1\.NodeService\/Seed$)/

/** Sees every call begin and end, also those that other libraries handle. */
export class CallWatch {
  readonly #connections: Pick<Connections, 'of'>
  readonly #openEnded = new Set<ServerInterceptingCallInterface>()

  constructor(components: { connections: Pick<Connections, 'of'> }) {
    this.#connections = components.connections
  }

  /**
   * What the server is to run each call through. A call counts as under way once its request is
   * complete, or from its beginning where it is an upload, whose own idle time ends it; a request
   * that never becomes complete keeps no connection open, and neither does asking for descriptors.
   */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const connection = this.#connections.of(call.getPeer())
    const openEnded = OPEN_ENDED.test(method.path)
    let under: Disposable | undefined
    if (openEnded) this.#openEnded.add(call)
    else if (method.requestStream) under = connection?.beginCall()
    const listener = new ServerListenerBuilder()
      .withOnReceiveMessage((message, next) => {
        connection?.touch()
        next(message)
      })
      .withOnReceiveHalfClose((next) => {
        if (!method.requestStream) under ??= connection?.beginCall()
        next()
      })
      .withOnCancel(() => {
        // This comes at the end of every call.
        this.#openEnded.delete(call)
        under?.[Symbol.dispose]()
      })
      .build()
    const responder = new ResponderBuilder().withStart((next) => next(listener)).build()
    return new ServerInterceptingCall(call, responder)
  }

  /** Ends the calls that would not end by themselves. */
  endOpenEnded(): void {
    for (const call of this.#openEnded) {
      call.sendStatus({ code: status.UNAVAILABLE, details: 'the node is stopping' })
    }
  }
}
