import { concatBytes } from '../../foundation/bytes.ts'
import { ChannelEnded, FRAME_BYTES_MAX, type FrameChannel } from './frame-channel.ts'
import { FrameError } from './frame-error.ts'

/** How many frames wait on a side that is slow to take them. */
const FRAMES_WAITING_MAX = 8

/** Two ends of one channel within a process: the twin of a stream, for tests and simulations. */
export function memoryFrameChannels(): [FrameChannel, FrameChannel] {
  const a = new MemoryFrameChannel()
  const b = new MemoryFrameChannel()
  a.join(b)
  b.join(a)
  return [a, b]
}

class MemoryFrameChannel implements FrameChannel {
  #other: MemoryFrameChannel | undefined
  readonly partialBytes = 0 // frames arrive whole
  readonly #waiting: Uint8Array[] = []
  #receivedBytes = 0
  #changed = Promise.withResolvers<void>()
  #broken: ChannelEnded | undefined

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  join(other: MemoryFrameChannel): void {
    this.#other = other
  }

  async send(frame: readonly Uint8Array[]): Promise<void> {
    const other = this.#other!
    if (this.#broken !== undefined) throw this.#broken
    const bytes = Uint8Array.from(concatBytes(frame))
    other.#waiting.push(bytes)
    other.#receivedBytes += bytes.length
    other.#change()
    while (other.#waiting.length > FRAMES_WAITING_MAX && this.#broken === undefined) {
      await other.#changed.promise
    }
  }

  async receive(
    onFrame: (frame: Uint8Array) => void | Promise<void>,
    frameBytesMax = FRAME_BYTES_MAX,
  ): Promise<void> {
    for (;;) {
      if (this.#broken !== undefined) throw this.#broken
      const frame = this.#waiting.shift()
      this.#change()
      if (frame === undefined) {
        await this.#changed.promise
      } else {
        if (frame.length > frameBytesMax) {
          throw new FrameError({ code: 'too-long' }, `a frame of ${frame.length} bytes`)
        }
        await onFrame(frame)
      }
    }
  }

  abort(reason: Error): void {
    this.#break(new ChannelEnded(reason))
    this.#other!.#break(new ChannelEnded())
  }

  #break(reason: ChannelEnded): void {
    this.#broken ??= reason
    this.#change()
  }

  #change(): void {
    const changed = this.#changed
    this.#changed = Promise.withResolvers<void>()
    changed.resolve()
  }
}
