import type { Writable } from 'node:stream'
import type { Call } from '../foundation/call.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import { SEND_BYTES_MAX } from './rpc-limits.ts'
import type { StallWatch } from './stall-watch.ts'

/**
 * Sends messages as fast as the other side takes them: at most {@link SEND_BYTES_MAX} wait for it.
 * grpc-js by itself counts messages, not bytes.
 */
export class MessagePush {
  readonly #stream: Writable
  readonly #watch: StallWatch
  #waitingBytes = 0
  #room = Promise.withResolvers<void>()

  constructor(components: { stream: Writable; watch: StallWatch }) {
    this.#stream = components.stream
    this.#watch = components.watch
  }

  /** Bytes that wait to be taken. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Sends a message; resolves once there is room for another. @throws the call's reason */
  async send(message: Buffer, call: Call): Promise<void> {
    call.signal.throwIfAborted()
    this.#waitingBytes += message.length
    this.#stream.write(message, () => {
      this.#waitingBytes -= message.length
      this.#room.resolve()
    })
    while (this.#waitingBytes > SEND_BYTES_MAX) {
      this.#room = Promise.withResolvers<void>()
      await this.#watch.during(unlessAborted(this.#room.promise, call.signal))
    }
  }
}
