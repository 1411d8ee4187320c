import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { ChannelEnded, type FrameChannel } from './frame-channel.ts'
import { FrameSplitter, framePrefix } from './frame-splitter.ts'

/**
 * How much may arrive while this side has paused the stream. A read buffer below yamux's window
 * would make libp2p reset the stream instead of slowing the sender.
 */
export const READ_BUFFER_BYTES_MAX = 32 * 1024 * 1024

/** Frames over a libp2p stream. */
export class StreamFrameChannel implements FrameChannel {
  readonly #stream: Stream
  #receivedBytes = 0
  #splitter: FrameSplitter | undefined
  readonly #onBytes: ((bytes: number, direction: 'in' | 'out') => void) | undefined

  constructor(
    components: { stream: Stream },
    init: { onBytes?: (bytes: number, direction: 'in' | 'out') => void } = {},
  ) {
    this.#stream = components.stream
    this.#stream.maxReadBufferLength = READ_BUFFER_BYTES_MAX
    this.#onBytes = init.onBytes
  }

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  get partialBytes(): number {
    return this.#splitter?.partialBytes ?? 0
  }

  async send(frame: readonly Uint8Array[]): Promise<void> {
    const list = new Uint8ArrayList()
    const bytes = frame.reduce((sum, piece) => sum + piece.length, 0)
    list.append(framePrefix(bytes))
    for (const piece of frame) list.append(piece)
    this.#onBytes?.(bytes, 'out')
    let hasRoom = this.#stream.send(list)
    while (!hasRoom) {
      await this.#drained()
      hasRoom = !this.#stream.writableNeedsDrain
    }
  }

  // Not stream.onDrain(): its promise stays resolved after the first time.
  #drained(): Promise<void> {
    const stream = this.#stream
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onDrain = (): void => resolve()
    const onClose = (event: StreamCloseEvent): void => reject(new ChannelEnded(event.error))
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
    if (stream.status !== 'open') reject(new ChannelEnded())
    else if (!stream.writableNeedsDrain) resolve()
    return promise.finally(() => {
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
    })
  }

  async receive(
    onFrame: (frame: Uint8Array) => void | Promise<void>,
    frameBytesMax?: number,
  ): Promise<void> {
    const stream = this.#stream
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const splitter = new FrameSplitter({}, { frameBytesMax })
    this.#splitter = splitter
    const waiting: Uint8Array[] = []
    let working = false

    const work = async (): Promise<void> => {
      working = true
      try {
        while (waiting.length > 0) {
          const handled = onFrame(waiting.shift()!)
          if (handled === undefined) continue
          // Deferred, because a pause within a handler that resume() called would be undone.
          queueMicrotask(() => working && stream.readStatus === 'readable' && stream.pause())
          await handled
        }
        working = false
        if (stream.readStatus === 'paused') stream.resume()
      } catch (error) {
        reject(error)
      }
    }
    const onMessage = (event: StreamMessageEvent): void => {
      try {
        const { data } = event
        this.#receivedBytes += data.byteLength
        this.#onBytes?.(data.byteLength, 'in')
        for (const piece of data instanceof Uint8Array ? [data] : data) {
          waiting.push(...splitter.push(piece))
        }
        if (!working) void work()
      } catch (error) {
        reject(error)
      }
    }
    const onEnd = (): void => resolve()
    const onClose = (event: StreamCloseEvent): void =>
      event.error === undefined ? resolve() : reject(new ChannelEnded(event.error))
    stream.addEventListener('message', onMessage)
    stream.addEventListener('remoteCloseWrite', onEnd)
    stream.addEventListener('close', onClose)
    try {
      if (stream.status !== 'open') throw new ChannelEnded()
      await promise
    } finally {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('remoteCloseWrite', onEnd)
      stream.removeEventListener('close', onClose)
    }
  }

  abort(reason: Error): void {
    this.#stream.abort(reason)
  }
}
