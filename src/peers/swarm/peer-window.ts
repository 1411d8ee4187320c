/** How much is on its way from a peer before anything is known of it, in bytes. */
export const WINDOW_BYTES_FIRST = 512 * 1024

/** A peer that gives anything is asked for this much at least, in bytes. */
export const WINDOW_BYTES_MIN = 256 * 1024

/** No peer is asked for more than this at once, in bytes. */
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024

/** A window is filled by so many requests, so that the next one is there before one ends. */
const REQUESTS_PER_WINDOW = 4

/** How much one request asks for at the most, in bytes. */
export const REQUEST_BYTES_MAX = 2 * 1024 * 1024

/** How long what is on its way should take to come: enough to keep a peer busy all the time. */
export const WINDOW_MS = 400

/** What the newest measurement counts for, beside all before. */
const NEWEST_SHARE = 0.3

/** A request, as the window has to know it. */
export interface Flight {
  readonly bytes: number
  readonly begunMs: number
  /** What was on its way then, itself included. */
  readonly ahead: number
}

/**
 * How much is asked of one peer at once: what it gives in {@link WINDOW_MS}, so that a fast one is
 * never idle and a slow one holds little. Plain data; milliseconds come from outside.
 */
export class PeerWindow {
  #windowBytes = WINDOW_BYTES_FIRST
  #inFlight = 0
  #bytesPerMs: number | undefined

  /** About how many bytes the next request may ask for; 0 where it has to wait. */
  get portionBytes(): number {
    const portion = Math.min(this.#windowBytes / REQUESTS_PER_WINDOW, REQUEST_BYTES_MAX)
    const hasRoom = this.#inFlight === 0 || this.#inFlight + portion <= this.#windowBytes
    return hasRoom ? portion : 0
  }

  get inFlightBytes(): number {
    return this.#inFlight
  }

  /** How fast it has been, in bytes per millisecond; undefined before its first answer. */
  get bytesPerMs(): number | undefined {
    return this.#bytesPerMs
  }

  /** How long so many bytes should take that are asked for now, in milliseconds. */
  expectedMs(bytes: number): number {
    if (this.#bytesPerMs === undefined) return 2 * WINDOW_MS
    return (this.#inFlight + bytes) / this.#bytesPerMs
  }

  begin(bytes: number, nowMs: number): Flight {
    this.#inFlight += bytes
    return { bytes, begunMs: nowMs, ahead: this.#inFlight }
  }

  /** The request is over; `isWhole` where all of it came. */
  end(flight: Flight, init: { readonly isWhole: boolean; readonly nowMs: number }): void {
    this.#inFlight -= flight.bytes
    if (!init.isWhole || flight.bytes === 0) return
    // What was on its way before it has come as well: that is what the time was for.
    const measured = flight.ahead / Math.max(init.nowMs - flight.begunMs, 1)
    const before = this.#bytesPerMs ?? measured
    this.#bytesPerMs = before + NEWEST_SHARE * (measured - before)
    const wanted = this.#bytesPerMs * WINDOW_MS
    const most = Math.min(WINDOW_BYTES_MAX, 2 * this.#windowBytes)
    this.#windowBytes = Math.max(WINDOW_BYTES_MIN, Math.min(wanted, most))
  }
}
