import type { Digest } from '../../foundation/digest.ts'

/** A chunk that is to be fetched. */
export interface WantedChunk {
  readonly digest: Digest
  /** Its length in bytes, as the layout or the Directory says. */
  readonly size: number
}

/** After this long without an answer, an idle peer may be asked for the same chunk too. */
export const SECOND_ASK_MS = 1_000

/** How many peers are asked for one chunk at the same time. */
export const ASKED_MAX = 2

interface Asked {
  readonly chunk: WantedChunk
  readonly peers: Set<string>
  askedMs: number
}

/** How much a peer takes at once. */
export interface Portion {
  readonly bytesMax: number
  readonly chunksMax: number
}

/**
 * Which chunk is asked of whom: plain data without clock or network. Chunks go out in the order
 * that they were added; what a peer fails to bring goes back to the front; the last ones, when
 * nothing else is left, are asked of a second peer.
 */
export class ChunkQueue {
  #waiting: WantedChunk[] = []
  /** Where the waiting ones begin: shifting one by one would cost with every chunk. */
  #head = 0
  readonly #asked = new Map<string, Asked>()
  readonly #lacking = new Map<string, Set<string>>()
  /** Those of the asked ones that nobody wants any more. */
  readonly #dropped = new Set<string>()

  /** How many chunks are still to come. */
  get size(): number {
    return this.#waiting.length - this.#head + this.#asked.size
  }

  add(chunk: WantedChunk): void {
    this.#waiting.push(chunk)
  }

  /** The next chunks for a peer; none where there is nothing for it at the moment. */
  take(peer: string, portion: Portion, nowMs: number): WantedChunk[] {
    const taken: WantedChunk[] = []
    const passedOver: WantedChunk[] = []
    let bytes = 0
    while (this.#head < this.#waiting.length && taken.length < portion.chunksMax) {
      const chunk = this.#waiting[this.#head]!
      if (taken.length > 0 && bytes + chunk.size > portion.bytesMax) break
      this.#head++
      if (this.#lacks(peer, chunk)) {
        passedOver.push(chunk)
        continue
      }
      bytes += chunk.size
      taken.push(chunk)
      this.#asked.set(chunk.digest.hex, { chunk, peers: new Set([peer]), askedMs: nowMs })
    }
    this.#putBack(passedOver)
    return taken.length > 0 ? taken : this.#secondAsk(peer, portion, nowMs)
  }

  /** A chunk has come and is stored. Says whether it was still wanted. */
  settle(digest: Digest): boolean {
    this.#lacking.delete(digest.hex)
    this.#dropped.delete(digest.hex)
    return this.#asked.delete(digest.hex)
  }

  /** Chunks are not wanted any more: of those that were asked for, what comes may come. */
  drop(chunks: readonly WantedChunk[]): void {
    const dropped = new Set(chunks.map(({ digest }) => digest.hex))
    this.#waiting = this.#waiting.slice(this.#head).filter(({ digest }) => !dropped.has(digest.hex))
    this.#head = 0
    for (const hex of dropped) if (this.#asked.has(hex)) this.#dropped.add(hex)
  }

  /** Whether a chunk is still to come. */
  isAsked(digest: Digest): boolean {
    return this.#asked.has(digest.hex)
  }

  /** A peer does not bring these chunks: others may be asked. */
  giveBack(peer: string, chunks: readonly WantedChunk[]): void {
    const returned: WantedChunk[] = []
    for (const { digest } of chunks) {
      const asked = this.#asked.get(digest.hex)
      if (asked === undefined || !asked.peers.delete(peer) || asked.peers.size > 0) continue
      this.#asked.delete(digest.hex)
      if (!this.#dropped.delete(digest.hex)) returned.push(asked.chunk)
    }
    this.#putBack(returned)
  }

  /** A peer says that it lacks a chunk; it is not asked for it again. */
  lacks(peer: string, chunk: WantedChunk): void {
    const peers = this.#lacking.get(chunk.digest.hex) ?? new Set<string>()
    this.#lacking.set(chunk.digest.hex, peers.add(peer))
    this.giveBack(peer, [chunk])
  }

  /** All chunks that are still to come, for saying what could not be had. */
  left(): WantedChunk[] {
    const asked = [...this.#asked.values()].map(({ chunk }) => chunk)
    return [...this.#waiting.slice(this.#head), ...asked]
  }

  /** Whether there is, or may come back, anything that a peer could still bring. */
  mayServe(peer: string): boolean {
    for (let i = this.#head; i < this.#waiting.length; i++) {
      if (!this.#lacks(peer, this.#waiting[i]!)) return true
    }
    for (const { chunk } of this.#asked.values()) if (!this.#lacks(peer, chunk)) return true
    return false
  }

  #secondAsk(peer: string, portion: Portion, nowMs: number): WantedChunk[] {
    const taken: WantedChunk[] = []
    let bytes = 0
    for (const asked of this.#asked.values()) {
      if (taken.length >= portion.chunksMax || bytes >= portion.bytesMax) break
      const { chunk, peers, askedMs } = asked
      if (peers.has(peer) || peers.size >= ASKED_MAX || this.#lacks(peer, chunk)) continue
      if (nowMs - askedMs < SECOND_ASK_MS || this.#dropped.has(chunk.digest.hex)) continue
      peers.add(peer)
      asked.askedMs = nowMs
      bytes += chunk.size
      taken.push(chunk)
    }
    return taken
  }

  #lacks(peer: string, chunk: WantedChunk): boolean {
    return this.#lacking.get(chunk.digest.hex)?.has(peer) === true
  }

  #putBack(chunks: readonly WantedChunk[]): void {
    if (chunks.length === 0 && this.#head < 4096) return
    this.#waiting = [...chunks, ...this.#waiting.slice(this.#head)]
    this.#head = 0
  }
}
