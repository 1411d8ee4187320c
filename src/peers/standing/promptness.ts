import type { Clock } from '../../foundation/clock.ts'

/**
 * For how long who wasted others' time comes after the caches, in milliseconds, and for how long a
 * wait counts against those who have brought nothing yet.
 */
export const DISTRUST_MS = 5 * 60_000

/**
 * With so many that kept others waiting of late, whoever has brought nothing yet comes after the
 * caches, too: identities cost nothing, and each new one could waste a moment of every path. Fewer
 * say nothing of the others: machines are switched off.
 */
export const LAGGARDS_SUSPICIOUS = 2

/** Who has brought so many bytes of content is not suspected because of others. */
export const PROVEN_BYTES = 1024 * 1024

/** How many peers are remembered; who was heard of first is forgotten first. */
export const PROMPTNESS_PEERS_MAX = 16_384

/** What is known of a peer's promptness. */
export interface PromptnessRecord {
  /** When it last wasted others' time, in ms; undefined where it never has. */
  readonly wastedMs: number | undefined
  /** Content that it has brought since, in bytes. */
  readonly broughtBytes: number
}

/**
 * Whether a peer is worth asking before the caches. `laggards` is how many peers kept others
 * waiting in the last {@link DISTRUST_MS}.
 */
export function isPrompt(
  { wastedMs, broughtBytes }: PromptnessRecord,
  { laggards, nowMs }: { readonly laggards: number; readonly nowMs: number },
): boolean {
  if (hasWasted({ wastedMs }, nowMs)) return false
  return laggards < LAGGARDS_SUSPICIOUS || broughtBytes >= PROVEN_BYTES
}

/** Whether a peer has brought much, and has wasted nobody's time of late. */
export function isProven(record: PromptnessRecord, nowMs: number): boolean {
  return record.broughtBytes >= PROVEN_BYTES && !hasWasted(record, nowMs)
}

function hasWasted({ wastedMs }: Pick<PromptnessRecord, 'wastedMs'>, nowMs: number): boolean {
  return wastedMs !== undefined && nowMs - wastedMs < DISTRUST_MS
}

const UNKNOWN: PromptnessRecord = { wastedMs: undefined, broughtBytes: 0 }

/**
 * Remembers who wasted others' time. That is no offence: such peers come last, for everything, and
 * where nobody else has it they are waited for like any other.
 */
export class Promptness {
  readonly #clock: Clock
  readonly #records = new Map<string, PromptnessRecord>()
  /** Who kept others waiting of late, and when; the earliest first. */
  readonly #laggards = new Map<string, number>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  /** A fetch waited for a peer in vain. What it has brought before does not count any more. */
  delayed(peer: string): void {
    this.misled(peer)
    this.#laggards.delete(peer) // to the end
    this.#laggards.set(peer, this.#clock.now())
  }

  /** A peer made an offer that was no good, which costs less, and says nothing of others. */
  misled(peer: string): void {
    this.#remember(peer, { wastedMs: this.#clock.now(), broughtBytes: 0 })
  }

  /** A peer has brought so many bytes of content, which are right. */
  brought(peer: string, bytes: number): void {
    const { wastedMs, broughtBytes } = this.#records.get(peer) ?? UNKNOWN
    this.#remember(peer, { wastedMs, broughtBytes: broughtBytes + bytes })
  }

  /** Whether a peer is worth asking before the caches. */
  isPrompt(peer: string): boolean {
    const nowMs = this.#clock.now()
    for (const [earliest, atMs] of this.#laggards) {
      if (nowMs - atMs < DISTRUST_MS) break
      this.#laggards.delete(earliest)
    }
    const laggards = this.#laggards.size
    return isPrompt(this.#records.get(peer) ?? UNKNOWN, { laggards, nowMs })
  }

  /** Whether a peer has brought much, and has wasted nobody's time of late. */
  isProven(peer: string): boolean {
    return isProven(this.#records.get(peer) ?? UNKNOWN, this.#clock.now())
  }

  /** Forgets all of a peer. */
  forget(peer: string): void {
    this.#records.delete(peer)
    this.#laggards.delete(peer)
  }

  #remember(peer: string, record: PromptnessRecord): void {
    this.#records.delete(peer) // to the end
    this.#records.set(peer, record)
    if (this.#records.size <= PROMPTNESS_PEERS_MAX) return
    const [oldest] = this.#records.keys()
    this.forget(oldest!)
  }
}
