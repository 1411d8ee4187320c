/** Length of the longest frame in bytes: room for any chunk, and for very wide Directories. */
export const FRAME_BYTES_MAX = 32 * 1024 * 1024

/** Length of the longest frame of a request in bytes: a request names things, it carries none. */
export const REQUEST_FRAME_BYTES_MAX = 64 * 1024

/** Length of the prefix that gives a frame's length, in bytes. */
export const FRAME_PREFIX_BYTES = 4

/** A channel has ended, at the wish of either side or with its connection. */
export class ChannelEnded extends Error {
  constructor(cause?: unknown) {
    super('the channel has ended', cause === undefined ? undefined : { cause })
    this.name = 'ChannelEnded'
  }
}

/** A two-way channel of whole frames between two peers. */
export interface FrameChannel {
  /** How many bytes have arrived so far, of frames whole or not: a sign of life. */
  readonly receivedBytes: number

  /** How many bytes wait for the rest of their frame. */
  readonly partialBytes: number

  /**
   * Sends a frame, given in pieces. Resolves when there is room for the next one: whoever awaits
   * it is slowed to what the other side takes. @throws where the channel has ended
   */
  send(frame: readonly Uint8Array[]): Promise<void>

  /**
   * Hands every frame that arrives to `onFrame`, in order; what arrives while it works waits, and
   * so in the end does the sender. Resolves when the other side has ended the channel cleanly,
   * throws ChannelEnded when it broke, FrameError where a frame is longer than `frameBytesMax`
   * ({@link FRAME_BYTES_MAX} by default), and what `onFrame` throws. To be called once.
   */
  receive(
    onFrame: (frame: Uint8Array) => void | Promise<void>,
    frameBytesMax?: number,
  ): Promise<void>

  /** Ends the channel at once. */
  abort(reason: Error): void
}
