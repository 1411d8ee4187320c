import type { Clock } from '../foundation/clock.ts'
import { RateMeter } from '../foundation/rate-meter.ts'

/** With how many peers traffic is counted one by one; of others only the sum is kept. */
export const COUNTED_PEERS_MAX = 4_096

/** Bytes that crossed the network with one peer, in exchange frames. */
export interface PeerTraffic {
  readonly received: number
  readonly sent: number
  /** Bytes a second, just now. */
  readonly receiveRate: number
  readonly sendRate: number
}

interface Counter {
  received: number
  sent: number
  readonly receiving: RateMeter
  readonly sending: RateMeter
}

/** Counts what is exchanged with each peer. */
export class Traffic {
  readonly #clock: Clock
  readonly #counters = new Map<string, Counter>()
  readonly #forgotten = { received: 0, sent: 0 }

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  /** Takes down bytes that came from a peer, or went to it. */
  count(peer: string, bytes: number, direction: 'in' | 'out'): void {
    const counter = this.#counter(peer)
    const nowMs = this.#clock.now()
    if (direction === 'in') {
      counter.received += bytes
      counter.receiving.add(bytes, nowMs)
    } else {
      counter.sent += bytes
      counter.sending.add(bytes, nowMs)
    }
  }

  of(peer: string): PeerTraffic {
    const nowMs = this.#clock.now()
    const counter = this.#counters.get(peer)
    return {
      received: counter?.received ?? 0,
      sent: counter?.sent ?? 0,
      receiveRate: counter?.receiving.rate(nowMs) ?? 0,
      sendRate: counter?.sending.rate(nowMs) ?? 0,
    }
  }

  /** With all peers, those that have left included. */
  total(): { readonly received: number; readonly sent: number } {
    let { received, sent } = this.#forgotten
    for (const counter of this.#counters.values()) {
      received += counter.received
      sent += counter.sent
    }
    return { received, sent }
  }

  #counter(peer: string): Counter {
    const known = this.#counters.get(peer)
    if (known !== undefined) return known
    const counter = { received: 0, sent: 0, receiving: new RateMeter(), sending: new RateMeter() }
    this.#counters.set(peer, counter)
    if (this.#counters.size > COUNTED_PEERS_MAX) this.#forgetOne()
    return counter
  }

  /** The one that was met first. */
  #forgetOne(): void {
    const [oldest] = this.#counters
    if (oldest === undefined) return
    const [peer, { received, sent }] = oldest
    this.#forgotten.received += received
    this.#forgotten.sent += sent
    this.#counters.delete(peer)
  }
}
