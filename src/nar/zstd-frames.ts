import { unreadable } from './nar-error.ts'

/** The largest window of a zstd stream: 128 MiB, what zstd itself allows by default. */
export const ZSTD_WINDOW_BYTES_MAX = 128 * 1024 * 1024

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const SKIPPABLE_MASK = 0xfffffff0

/** Block_Maximum_Size of RFC 8878 §3.1.1.2.4, for any window. */
const BLOCK_BYTES_MAX = 128 * 1024

const BLOCK_HEAD_BYTES = 3
const CHECKSUM_BYTES = 4
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]

/** What comes out of a zstd stream: frames one after the other, each as bytes for one decoder. */
export type ZstdEvent =
  | { readonly type: 'begin' }
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'end' }

type State =
  | 'magic'
  | 'skippable-size'
  | 'skipped'
  | 'descriptor'
  | 'frame-head'
  | 'block-head'
  | 'block'
  | 'checksum'

const BEGIN: ZstdEvent = { type: 'begin' }
const END: ZstdEvent = { type: 'end' }

/**
 * Finds the frames in a zstd stream by their headers, by RFC 8878 §3, and leaves out skippable
 * ones. A stream may have several, such as pzstd makes, while Node's decoder stops after the first.
 * A window over the limit is refused from the header, before any decoder sees the frame.
 */
export class ZstdFrames {
  readonly #windowBytesMax: number
  #state: State = 'magic'
  /** Bytes of the header that is being read, as far as they have come. */
  #head: Buffer = Buffer.alloc(0)
  #headBytes = 4
  /** How much of a block or of what is skipped is still to come. */
  #left = 0
  #isLastBlock = false
  #hasChecksum = false
  #frames = 0

  constructor(init: { readonly windowBytesMax?: number } = {}) {
    this.#windowBytesMax = init.windowBytesMax ?? ZSTD_WINDOW_BYTES_MAX
  }

  /** Takes the next piece of the stream. @throws NarError where it breaks the format */
  *push(bytes: Uint8Array): Generator<ZstdEvent> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === 'skipped' || this.#state === 'block') {
        const part = bytes.subarray(at, at + this.#left)
        at += part.length
        this.#left -= part.length
        if (this.#state === 'block') yield { type: 'bytes', bytes: part }
        if (this.#left === 0) yield* this.#passed()
      } else {
        const part = bytes.subarray(at, at + this.#headBytes - this.#head.length)
        at += part.length
        this.#head = Buffer.concat([this.#head, part])
        if (this.#head.length === this.#headBytes) yield* this.#read(this.#head)
      }
    }
  }

  /** The stream has ended. @throws NarError where that is in the middle of a frame */
  end(): void {
    const isBetween = this.#state === 'magic' && this.#head.length === 0
    if (!isBetween || this.#frames === 0) {
      throw unreadable('compression-truncated', 'zstd', 'it ends in the middle of a frame')
    }
  }

  *#read(head: Buffer): Generator<ZstdEvent> {
    switch (this.#state) {
      case 'magic':
        return this.#readMagic(head.readUInt32LE(0))
      case 'skippable-size':
        this.#left = head.readUInt32LE(0)
        return this.#left === 0 ? this.#expect('magic', 4) : this.#pass('skipped')
      case 'descriptor':
        return yield* this.#readDescriptor(head)
      case 'frame-head':
        return yield* this.#readFrameHead(head)
      case 'block-head':
        return yield* this.#readBlockHead(head)
      case 'checksum':
        yield { type: 'bytes', bytes: head }
        yield END
        return this.#expect('magic', 4)
    }
  }

  #readMagic(magic: number): void {
    const isSkippable = (magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC
    if (!isSkippable && magic !== FRAME_MAGIC) {
      throw corrupt(this.#frames === 0 ? 'it does not begin as one' : 'something follows its end')
    }
    this.#frames++
    if (isSkippable) this.#expect('skippable-size', 4)
    else this.#expect('descriptor', 5, this.#head)
  }

  *#readDescriptor(head: Buffer): Generator<ZstdEvent> {
    const descriptor = head[4]!
    if ((descriptor & 0x08) !== 0) throw corrupt('a reserved bit of its header is set')
    const { window, dictionary, content } = fieldsOf(descriptor)
    const length = head.length + window + dictionary + content
    if (length === head.length) yield* this.#readFrameHead(head)
    else this.#expect('frame-head', length, head)
  }

  *#readFrameHead(head: Buffer): Generator<ZstdEvent> {
    const descriptor = head[4]!
    const { window, dictionary } = fieldsOf(descriptor)
    if (head.subarray(5 + window, 5 + window + dictionary).some((byte) => byte !== 0)) {
      throw corrupt('it needs a dictionary')
    }
    const bytes = windowBytesOf(head)
    if (bytes > this.#windowBytesMax) {
      const what = `its window has ${bytes} bytes, more than ${this.#windowBytesMax}`
      throw unreadable('compression-memory', 'zstd', what)
    }
    this.#hasChecksum = (descriptor & 0x04) !== 0
    yield BEGIN
    yield { type: 'bytes', bytes: head }
    this.#expect('block-head', BLOCK_HEAD_BYTES)
  }

  *#readBlockHead(head: Buffer): Generator<ZstdEvent> {
    const header = head.readUIntLE(0, BLOCK_HEAD_BYTES)
    const type = (header >> 1) & 3
    const size = header >> 3
    if (type === 3 || size > BLOCK_BYTES_MAX) throw corrupt('a block has no valid header')
    this.#isLastBlock = (header & 1) === 1
    this.#left = type === 1 ? 1 : size // one byte that is repeated, or as many as there are
    yield { type: 'bytes', bytes: head }
    if (this.#left === 0) yield* this.#passed()
    else this.#pass('block')
  }

  /** What was passed on or over has come to its end. */
  *#passed(): Generator<ZstdEvent> {
    if (this.#state === 'skipped') return this.#expect('magic', 4)
    if (!this.#isLastBlock) return this.#expect('block-head', BLOCK_HEAD_BYTES)
    if (this.#hasChecksum) return this.#expect('checksum', CHECKSUM_BYTES)
    yield END
    this.#expect('magic', 4)
  }

  #pass(state: 'skipped' | 'block'): void {
    this.#state = state
    this.#head = Buffer.alloc(0)
  }

  #expect(state: State, headBytes: number, head: Buffer = Buffer.alloc(0)): void {
    this.#state = state
    this.#head = head
    this.#headBytes = headBytes
  }
}

/** How many bytes the optional fields of a frame header have. */
function fieldsOf(descriptor: number): { window: number; dictionary: number; content: number } {
  const isSingle = (descriptor & 0x20) !== 0
  const content = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  return { window: isSingle ? 0 : 1, dictionary: DICTIONARY_ID_BYTES[descriptor & 3]!, content }
}

/** How much a decoder has to remember, by a whole frame header. */
function windowBytesOf(head: Buffer): number {
  const { window, dictionary, content } = fieldsOf(head[4]!)
  if (window === 1) {
    const base = 2 ** (10 + (head[5]! >> 3))
    return base + (base / 8) * (head[5]! & 7)
  }
  const at = 5 + dictionary
  if (content === 8) return Number(head.readBigUInt64LE(at))
  return head.readUIntLE(at, content) + (content === 2 ? 256 : 0)
}

function corrupt(what: string) {
  return unreadable('compression-corrupt', 'zstd', what)
}
