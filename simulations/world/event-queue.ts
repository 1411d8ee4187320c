/** Something that is to happen at a time. */
export interface SimEvent {
  readonly run: () => void
  atMs: number
  /** Of events at the same time the lower goes first. */
  order: number
  /** Where it is in the heap; -1 where it is not in it. */
  place: number
}

/** What is to happen, the earliest first (a binary heap whose events know their places). */
export class EventQueue {
  readonly #heap: SimEvent[] = []
  #lastOrder = 0

  get size(): number {
    return this.#heap.length
  }

  add(atMs: number, run: () => void): SimEvent {
    const event = { run, atMs, order: this.#lastOrder++, place: this.#heap.length }
    this.#heap.push(event)
    this.#up(event)
    return event
  }

  /** Puts an event at another time, behind all that are there then; it may be over already. */
  move(event: SimEvent, atMs: number): void {
    event.atMs = atMs
    event.order = this.#lastOrder++
    if (event.place === -1) {
      event.place = this.#heap.length
      this.#heap.push(event)
    }
    this.#up(event)
    this.#down(event)
  }

  remove(event: SimEvent): void {
    const { place } = event
    if (place === -1) return
    event.place = -1
    const last = this.#heap.pop()!
    if (last === event) return
    this.#put(last, place)
    this.#up(last)
    this.#down(last)
  }

  /** Takes out the first. */
  next(): SimEvent | undefined {
    const first = this.#heap[0]
    if (first !== undefined) this.remove(first)
    return first
  }

  #put(event: SimEvent, place: number): void {
    this.#heap[place] = event
    event.place = place
  }

  #up(event: SimEvent): void {
    let { place } = event
    while (place > 0) {
      const parent = this.#heap[(place - 1) >>> 1]!
      if (!isBefore(event, parent)) break
      const above = parent.place
      this.#put(parent, place)
      place = above
    }
    this.#put(event, place)
  }

  #down(event: SimEvent): void {
    let { place } = event
    for (;;) {
      let child = this.#heap[2 * place + 1]
      if (child === undefined) break
      const other = this.#heap[2 * place + 2]
      if (other !== undefined && isBefore(other, child)) child = other
      if (!isBefore(child, event)) break
      const below = child.place
      this.#put(child, place)
      place = below
    }
    this.#put(event, place)
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
