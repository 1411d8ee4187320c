import { createRequire } from 'node:module'
import { unreadable } from './nar-error.ts'

/** Reads so many bits; null moves on to the next whole byte. */
type ReadBits = (count: number | null) => number

/** What we use of a library without types: it decodes one block that lies in memory. */
interface BlockDecoder {
  /** Reads the head of a stream, and says how large its blocks are, in 100,000 bytes. */
  header(bits: ReadBits): number
  /** Decodes a block; says the checksum so far, or null where the stream ended instead. */
  decompress(
    bits: ReadBits,
    write: (byte: number) => void,
    buffer: Int32Array,
    size: number,
    checksum: number,
  ): number | null
}

const decoder = createRequire(import.meta.url)('unbzip2-stream/lib/bzip2.js') as BlockDecoder

/** A block is compressed to hardly more than its size; so much more there is at the most. */
const BLOCK_EXCESS_BYTES = 25_000

/** No block is longer than this, in compressed bytes: 900,000 symbols of 20 bits each. */
const BLOCK_BYTES_MAX = 2_500_000

const OUTPUT_PIECE_BYTES = 256 * 1024

/** More of the stream is needed to go on. */
class OutOfBytes extends Error {}

/**
 * The content of a bzip2 stream, or of several one after the other. Decoding is plain JavaScript,
 * some ten megabytes a second; between two blocks others have their turn.
 * @throws NarError where it is malformed or truncated
 */
export async function* bzip2Blocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const input = new BitInput()
  const bits: ReadBits = (count) => input.read(count)
  let stream: { level: number; checksum: number; buffer: Int32Array } | undefined
  let streams = 0
  const iterator = source[Symbol.asyncIterator]()
  let isEnded = false
  let wanted = 1
  for (;;) {
    while (!isEnded && input.available < wanted) {
      const next = await iterator.next()
      if (next.done === true) isEnded = true
      else input.push(next.value)
    }
    if (stream === undefined && streams > 0 && isEnded && input.available === 0) return
    input.gather()
    const output = new Output()
    const mark = input.mark()
    try {
      if (stream === undefined) {
        const level = decoder.header(bits)
        stream = { level, checksum: 0, buffer: new Int32Array(level * 100_000) }
        streams++
      } else {
        const { buffer, checksum } = stream
        const write = (byte: number): void => output.write(byte)
        const next = decoder.decompress(bits, write, buffer, buffer.length, checksum)
        stream = next === null ? undefined : { ...stream, checksum: next }
      }
    } catch (cause) {
      if (!(cause instanceof OutOfBytes)) throw corrupt(cause)
      if (isEnded) throw unreadable('compression-truncated', 'bzip2', 'it ends too early')
      if (input.available > BLOCK_BYTES_MAX) throw corrupt(cause)
      input.reset(mark)
      wanted = Math.max(input.available * 2, 4)
      continue
    }
    yield* output.pieces()
    input.forget()
    wanted = stream === undefined ? 4 : stream.buffer.length + BLOCK_EXCESS_BYTES
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Bits of a stream, its most significant first, as far as it has come. */
class BitInput {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #bit = 0
  /** What came since, not put together yet. */
  #new: Uint8Array[] = []
  #newBytes = 0

  /** How many bytes are there that were not begun yet. */
  get available(): number {
    return this.#bytes.length + this.#newBytes - this.#at - (this.#bit > 0 ? 1 : 0)
  }

  push(bytes: Uint8Array): void {
    this.#new.push(bytes)
    this.#newBytes += bytes.length
  }

  /** Puts together what has come, for it to be read. */
  gather(): void {
    if (this.#newBytes === 0) return
    this.#bytes = Buffer.concat([this.#bytes, ...this.#new])
    this.#new = []
    this.#newBytes = 0
  }

  read(count: number | null): number {
    if (count === null) {
      if (this.#bit > 0) this.#at++
      this.#bit = 0
      return 0
    }
    let result = 0
    for (let left = count; left > 0; ) {
      if (this.#at >= this.#bytes.length) throw new OutOfBytes()
      const taken = Math.min(8 - this.#bit, left)
      const rest = 8 - this.#bit - taken
      result = (result << taken) | ((this.#bytes[this.#at]! >> rest) & ((1 << taken) - 1))
      this.#bit += taken
      left -= taken
      if (this.#bit === 8) {
        this.#bit = 0
        this.#at++
      }
    }
    return result
  }

  mark(): { readonly at: number; readonly bit: number } {
    return { at: this.#at, bit: this.#bit }
  }

  reset({ at, bit }: { readonly at: number; readonly bit: number }): void {
    this.#at = at
    this.#bit = bit
  }

  /** Lets go of what has been read; marks are void afterwards. */
  forget(): void {
    this.#bytes = this.#bytes.subarray(this.#at)
    this.#at = 0
  }
}

/** Bytes that come one by one, gathered into pieces. */
class Output {
  readonly #full: Uint8Array[] = []
  #piece = Buffer.alloc(0)
  #used = 0

  write(byte: number): void {
    if (this.#used === this.#piece.length) {
      if (this.#used > 0) this.#full.push(this.#piece)
      this.#piece = Buffer.allocUnsafeSlow(OUTPUT_PIECE_BYTES)
      this.#used = 0
    }
    this.#piece[this.#used++] = byte
  }

  *pieces(): Generator<Uint8Array> {
    yield* this.#full
    if (this.#used > 0) yield this.#piece.subarray(0, this.#used)
  }
}

function corrupt(cause: unknown) {
  return unreadable('compression-corrupt', 'bzip2', 'it is malformed', cause)
}
