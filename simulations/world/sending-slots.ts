/** One who waits for a turn. */
export interface Waiting {
  /** Called when there may be a turn. */
  readonly again: () => void
  /** The piece that would be sent next; undefined where there is none any more. */
  readonly next: () => number | undefined
}

/** Turns to send: so many at once. Of those who wait, whose piece was sent least often is next. */
export class SendingSlots {
  readonly #slots: number
  readonly #line = new Set<Waiting>()
  readonly #sent = new Map<number, number>()
  #taken = 0

  constructor(slots: number) {
    this.#slots = slots
  }

  /** Takes a turn to send pieces; where there is none, it is told when there may be one. */
  take(pieces: readonly number[], waiting: Waiting): boolean {
    if (this.#taken >= this.#slots) {
      this.#line.add(waiting)
      return false
    }
    this.#taken++
    for (const piece of pieces) this.#sent.set(piece, this.#timesSent(piece) + 1)
    return true
  }

  /** Gives a turn back. Those who wait come forward until all turns are taken again. */
  release(): void {
    this.#taken--
    const line = [...this.#line].map((it) => ({ it, sent: this.#timesSent(it.next() ?? -1) }))
    for (const { it } of line.sort((a, b) => a.sent - b.sent)) {
      if (this.#taken >= this.#slots) return
      this.#line.delete(it)
      it.again()
    }
  }

  #timesSent(piece: number): number {
    return this.#sent.get(piece) ?? 0
  }
}
