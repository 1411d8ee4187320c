/** Small parts are put together into blocks of this many bytes. */
const BLOCK_BYTES = 256 * 1024

/** Parts of at least this many bytes are passed on as they are, not copied. */
const PASSED_BYTES_MIN = 64 * 1024

/** Makes few, large pieces of many small parts of a stream; copies only what is small. */
export class PieceCoalescer {
  #block = new Uint8Array(0)
  /** Where in the block the open piece begins and ends. */
  #from = 0
  #to = 0

  /** Takes the next part; adds the pieces that are whole by now to `pieces`. */
  push(part: Uint8Array, pieces: Uint8Array[]): void {
    if (part.length >= PASSED_BYTES_MIN) {
      this.finish(pieces)
      pieces.push(part)
      return
    }
    let rest = part
    while (rest.length > this.#block.length - this.#to) {
      const room = this.#block.length - this.#to
      this.#block.set(rest.subarray(0, room), this.#to)
      this.#to += room
      rest = rest.subarray(room)
      this.finish(pieces)
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      this.#from = 0
      this.#to = 0
    }
    this.#block.set(rest, this.#to)
    this.#to += rest.length
  }

  /** Adds what is left, if anything, to `pieces`. */
  finish(pieces: Uint8Array[]): void {
    if (this.#to > this.#from) pieces.push(this.#block.subarray(this.#from, this.#to))
    this.#from = this.#to
  }
}
