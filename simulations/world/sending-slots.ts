/** Turns to send: so many at once, the others in the order in which they came. */
export class SendingSlots {
  readonly #slots: number
  readonly #line = new Set<() => void>()
  #taken = 0

  constructor(slots: number) {
    this.#slots = slots
  }

  /** Takes a turn; where there is none, `again` is called once when there may be one. */
  take(again: () => void): boolean {
    if (this.#taken >= this.#slots) {
      this.#line.add(again)
      return false
    }
    this.#taken++
    return true
  }

  /** Gives a turn back. Those who wait come forward until all turns are taken again. */
  release(): void {
    this.#taken--
    for (const again of [...this.#line]) {
      if (this.#taken >= this.#slots) return
      this.#line.delete(again)
      again()
    }
  }
}
