import type { Spool, SpoolStore } from './spool.ts'

/** Bytes come in any pieces, and are written and kept in memory by blocks of so many. */
const BLOCK_BYTES = 512 * 1024

/** How many blocks are kept in memory, the one being filled among them; fewer are not written. */
const BLOCKS_KEPT_MAX = 4

interface Block {
  /** Where its first byte stands in the stream. */
  readonly offset: number
  readonly bytes: Uint8Array
  filled: number
}

/**
 * What has come of a stream, to be read at any place while it comes: the latest from memory, what
 * came before from a spool. Memory is bounded, however slow who writes or reads.
 */
export class SpooledBytes implements AsyncDisposable {
  readonly #spools: SpoolStore
  #spool: Spool | undefined
  /** The latest blocks, in their order; those before `#unwritten` are in the spool as well. */
  readonly #blocks: Block[] = []
  #unwritten = 0
  #writing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #size = 0

  readonly #sizeMax: number

  /** `sizeMax` says how many bytes will come at the most. */
  constructor(components: { readonly spools: SpoolStore }, init: { readonly sizeMax: number }) {
    this.#spools = components.spools
    this.#sizeMax = init.sizeMax
  }

  /** How many bytes have come. All of them can be read, from the first on. */
  get size(): number {
    return this.#size
  }

  /**
   * Takes the next bytes, by copying them; waits while too many are to be written yet. After an
   * error nothing more is taken, and what was taken can be read as before.
   * @throws what the spool throws, the same error each time; RangeError for more than was said
   */
  async push(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const block = await this.#open()
      const part = bytes.subarray(at, at + block.bytes.length - block.filled)
      block.bytes.set(part, block.filled)
      block.filled += part.length
      this.#size += part.length
      at += part.length
      if (isFull(block) && this.#blocks.length === BLOCKS_KEPT_MAX) void this.#written()
    }
  }

  /** Some of what has come, from `offset` on: at least a byte where there is one. */
  async read(offset: number, lengthMax: number): Promise<Uint8Array> {
    const kept = this.#blocks[0]?.offset ?? this.#size
    if (offset < kept) return await this.#spool!.read(offset, Math.min(lengthMax, kept - offset))
    const block = this.#blocks[Math.floor((offset - kept) / BLOCK_BYTES)]
    if (block === undefined) return new Uint8Array(0)
    const from = offset - block.offset
    return block.bytes.subarray(from, Math.min(from + lengthMax, block.filled))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
    await this.#spool?.[Symbol.asyncDispose]()
  }

  /** The block with room in it. */
  async #open(): Promise<Block> {
    const last = this.#blocks.at(-1)
    if (last !== undefined && !isFull(last)) return last
    const rest = this.#sizeMax - this.#size
    if (rest <= 0) throw new RangeError(`more than the ${this.#sizeMax} bytes that were to come`)
    while (this.#blocks.length >= BLOCKS_KEPT_MAX) {
      if (this.#unwritten > 0) {
        this.#blocks.shift()
        this.#unwritten--
      } else if (this.#failure === undefined) await this.#written()
      else throw this.#failure.error
    }
    const bytes = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, rest))
    const block = { offset: this.#size, bytes, filled: 0 }
    this.#blocks.push(block)
    return block
  }

  /** Resolves once the full blocks are written, or could not be: then who brings more is told. */
  #written(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    try {
      this.#spool ??= await this.#spools.open()
      for (;;) {
        const block = this.#blocks[this.#unwritten]
        if (block === undefined || !isFull(block)) return
        await this.#spool.append(block.bytes)
        this.#unwritten++
      }
    } catch (error) {
      this.#failure = { error }
    }
  }
}

function isFull({ bytes, filled }: Block): boolean {
  return filled === bytes.length
}
