import type { Readable } from 'node:stream'
import type { Call } from '../foundation/call.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import type { StallWatch } from './stall-watch.ts'

/**
 * The messages of a gRPC stream, asked for one at a time. grpc-js by itself reads 16 messages ahead
 * of whoever reads them, whatever their size; here the next is asked for when the last one has been
 * dealt with, so that a slow reader slows the sender and nothing piles up.
 */
export class MessagePull {
  readonly #ask: () => void
  readonly #watch: StallWatch
  #asked: PromiseWithResolvers<Buffer | undefined> | undefined
  #owed = false
  #end: { readonly error: unknown } | undefined

  constructor(components: { stream: Readable; watch: StallWatch }) {
    const { stream } = components
    this.#watch = components.watch
    const ask = stream._read.bind(stream)
    this.#ask = () => ask(1)
    stream._read = () => {
      if (this.#asked === undefined) this.#owed = true
      else this.#ask()
    }
    stream.on('data', (message: Buffer) => this.#settle()?.resolve(message))
    stream.on('end', () => this.#finish(undefined))
    stream.on('error', (error) => this.#finish(error))
    stream.on('close', () => this.#finish(new Error('the stream was cut off')))
  }

  /** All messages. @throws as the stream breaks, or the call's reason */
  async *messages(call: Call): AsyncGenerator<Buffer> {
    for (;;) {
      call.signal.throwIfAborted()
      const message = await this.#watch.during(unlessAborted(this.#next(), call.signal))
      if (message === undefined) return
      yield message
    }
  }

  #next(): Promise<Buffer | undefined> {
    const asked = Promise.withResolvers<Buffer | undefined>()
    if (this.#end !== undefined) {
      if (this.#end.error === undefined) asked.resolve(undefined)
      else asked.reject(this.#end.error)
      return asked.promise
    }
    this.#asked = asked
    if (this.#owed) {
      this.#owed = false
      this.#ask()
    }
    return asked.promise
  }

  #finish(error: unknown): void {
    this.#end ??= { error }
    const asked = this.#settle()
    if (this.#end.error === undefined) asked?.resolve(undefined)
    else asked?.reject(this.#end.error)
  }

  #settle(): PromiseWithResolvers<Buffer | undefined> | undefined {
    const asked = this.#asked
    this.#asked = undefined
    return asked
  }
}
