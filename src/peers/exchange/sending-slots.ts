/** Of how many pieces it is counted how often they were sent; the ones met first are forgotten. */
export const COUNTED_PIECES_MAX = 65_536

/** One who waits for a turn. */
export interface Waiting<Piece> {
  /** Called when there may be a turn. */
  readonly again: () => void
  /** The piece that would be sent next; undefined where there is none any more. */
  readonly next: () => Piece | undefined
}

/**
 * Turns to send: so many at once, because many who get a little each wait long for their first
 * piece, and have nothing to give on until then. Of those who wait, whose piece was sent least
 * often is next: what few have spreads first. Plain data.
 */
export class SendingSlots<Piece> {
  readonly #slots: number
  readonly #line = new Set<Waiting<Piece>>()
  readonly #sent = new Map<Piece, number>()
  #taken = 0

  constructor(init: { readonly slots: number }) {
    this.#slots = init.slots
  }

  /** Takes a turn to send pieces; where there is none, it is told when there may be one. */
  take(pieces: readonly Piece[], waiting: Waiting<Piece>): boolean {
    if (this.#taken >= this.#slots) {
      this.#line.add(waiting)
      return false
    }
    this.#taken++
    for (const piece of pieces) this.#count(piece)
    return true
  }

  /** Who waits does not want a turn any more. */
  leave(waiting: Waiting<Piece>): void {
    this.#line.delete(waiting)
  }

  /** Gives a turn back. Those who wait come forward until all turns are taken again. */
  release(): void {
    this.#taken--
    const line = [...this.#line].map((it) => ({ it, sent: this.#timesSent(it.next()) }))
    for (const { it } of line.sort((a, b) => a.sent - b.sent)) {
      if (this.#taken >= this.#slots) return
      this.#line.delete(it)
      it.again()
    }
  }

  #timesSent(piece: Piece | undefined): number {
    return piece === undefined ? 0 : (this.#sent.get(piece) ?? 0)
  }

  #count(piece: Piece): void {
    this.#sent.set(piece, this.#timesSent(piece) + 1)
    if (this.#sent.size <= COUNTED_PIECES_MAX) return
    const [oldest] = this.#sent.keys()
    if (oldest !== undefined) this.#sent.delete(oldest)
  }
}
