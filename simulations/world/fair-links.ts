import type { SimEvent } from './event-queue.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** How many links are looked at for one change at the most, however exact it is to be. */
const VISITS_MAX = 100_000

/** One end of a node's line: the way out of it or the way in. */
interface Link {
  readonly bytesPerMs: number
  readonly flows: Flow[]
  /** What each flow gets that nothing else holds back, in bytes a millisecond. */
  level: number
  isQueued: boolean
}

/** Bytes on their way from one node to another. */
export interface Flow {
  readonly up: Link
  readonly down: Link
  readonly event: SimEvent
  readonly bytes: number
  leftBytes: number
  bytesPerMs: number
  countedMs: number
  placeUp: number
  placeDown: number
}

/**
 * Lines of nodes, each with so many bytes a millisecond out and in, shared max-min fair by what is
 * under way. Each link has a level; a flow goes at the lower one of its two links. What begins or
 * ends changes the levels of its links, and theirs change those behind, until what changes is
 * less than `tolerance` (each link's own part of progressive filling; Charny, Clark and Jain, 1995).
 * With a tolerance of 0 shares are exact; else a link may be that much overbooked or idle.
 */
export class FairLinks {
  readonly #clock: VirtualClock
  readonly #tolerance: number
  readonly #ups: Link[] = []
  readonly #downs: Link[] = []
  #visits = 0

  constructor(components: { clock: VirtualClock }, init: { readonly tolerance: number }) {
    this.#clock = components.clock
    this.#tolerance = Math.max(init.tolerance, 1e-9)
  }

  /** How many levels were looked at. */
  get visits(): number {
    return this.#visits
  }

  /** Takes in a node; they are numbered in the order in which they come. */
  add(bytesPerMs: { readonly up: number; readonly down: number }): void {
    this.#ups.push(newLink(bytesPerMs.up))
    this.#downs.push(newLink(bytesPerMs.down))
  }

  begin(from: number, to: number, bytes: number, onEnd: () => void): Flow {
    const up = this.#ups[from]!
    const down = this.#downs[to]!
    const run = (): void => {
      this.end(flow)
      onEnd()
    }
    const flow: Flow = {
      ...{ up, down, bytes, leftBytes: bytes, bytesPerMs: 0, countedMs: this.#clock.now() },
      event: this.#clock.in(Number.MAX_SAFE_INTEGER, run),
      placeUp: up.flows.length,
      placeDown: down.flows.length,
    }
    up.flows.push(flow)
    down.flows.push(flow)
    this.#settle(up, down)
    return flow
  }

  /** Ends a flow, whatever of it has come. */
  end(flow: Flow): void {
    this.#clock.cancel(flow.event)
    if (flow.placeUp === -1) return
    this.#count(flow)
    takeOut(flow.up.flows, flow.placeUp, 'placeUp')
    takeOut(flow.down.flows, flow.placeDown, 'placeDown')
    flow.placeUp = -1
    this.#settle(flow.up, flow.down)
  }

  /** How much of a flow has come by now. */
  arrivedBytes(flow: Flow): number {
    if (flow.placeUp !== -1) this.#count(flow)
    return flow.bytes - flow.leftBytes
  }

  #settle(...changed: readonly Link[]): void {
    const queue = [...changed]
    for (const link of queue) link.isQueued = true
    const touched = new Set<Link>(changed)
    for (let at = 0; at < queue.length && at < VISITS_MAX; at++) {
      const link = queue[at]!
      link.isQueued = false
      this.#visits++
      const before = link.level
      const level = levelOf(link)
      if (Math.abs(level - before) <= this.#tolerance * before) continue
      link.level = level
      touched.add(link)
      const lower = Math.min(before, level)
      for (const flow of link.flows) {
        const other = flow.up === link ? flow.down : flow.up
        if (other.isQueued || other.level < lower) continue
        other.isQueued = true
        queue.push(other)
      }
    }
    for (const link of touched) for (const flow of link.flows) this.#adjust(flow)
  }

  #adjust(flow: Flow): void {
    const bytesPerMs = Math.min(flow.up.level, flow.down.level)
    const change = Math.abs(bytesPerMs - flow.bytesPerMs)
    if (change <= this.#tolerance * flow.bytesPerMs) return
    this.#count(flow)
    flow.bytesPerMs = bytesPerMs
    this.#clock.move(flow.event, flow.leftBytes / bytesPerMs)
  }

  #count(flow: Flow): void {
    const nowMs = this.#clock.now()
    const bytes = (nowMs - flow.countedMs) * flow.bytesPerMs
    flow.leftBytes = Math.max(0, flow.leftBytes - bytes)
    flow.countedMs = nowMs
  }
}

/**
 * What a link gives each of its flows that could take more: its rate, less what those take that are
 * held back at their other ends, in equal parts.
 */
function levelOf({ bytesPerMs, flows, level: before }: Link): number {
  if (flows.length === 0) return bytesPerMs
  let level = bytesPerMs / flows.length
  let most = 0
  for (;;) {
    let rest = bytesPerMs
    let free = 0
    most = 0
    for (const { up, down } of flows) {
      const wanted = up.flows === flows ? down.level : up.level
      if (wanted > most) most = wanted
      if (wanted > level) free++
      else rest -= wanted
    }
    if (free === 0) return Math.max(rest + most, Number.EPSILON * before)
    const next = rest / free
    if (next <= level * (1 + 1e-12)) return level
    level = next
  }
}

function takeOut(flows: Flow[], place: number, key: 'placeUp' | 'placeDown'): void {
  const last = flows.pop()!
  if (place === flows.length) return
  flows[place] = last
  last[key] = place
}

function newLink(bytesPerMs: number): Link {
  return { bytesPerMs, flows: [], level: bytesPerMs, isQueued: false }
}
