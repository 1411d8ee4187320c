import type { Random } from '../../foundation/random.ts'
import { ASKED_MAX, type Asking, type PeerView, type SwarmView } from './swarm-view.ts'

/** How many pieces are looked at to find the next one, so that picking costs the same always. */
const LOOKS_MAX = 64

/** A piece is late when it takes so many times what it should. */
const LATE_TIMES = 4

/** No piece is late before this, however fast its peer has been. */
export const LATE_MS_MIN = 1_000

/** When all pieces are asked for, this much beyond its time makes one late. */
export const LAST_LATE_MS = 250

/** Where an origin has divided the work, what falls to others is left to them for so long. */
export const STRAY_MS = 400

/** What is to be picked. */
export interface Room {
  /** About how many bytes; the last piece may go beyond. */
  readonly bytesMax: number
  /** Whether a peer that had everything from the start is to be asked only for what others lack. */
  readonly isSpared: boolean
  /** Whether an origin that is spared may be asked for what falls to others. */
  readonly mayStray: boolean
  readonly nowMs: number
}

/**
 * Which pieces to ask a peer for, given what is known. A pure function of its arguments:
 *
 * 1. what a reader waits for;
 * 2. from a peer that has part, the rarest of a sample of what it has; from one that has
 *    everything, the rarest, ties by chance;
 * 3. from an origin that is to be spared, only what nobody else has: first what falls to this
 *    node, and now and then what nobody says it is fetching;
 * 4. where nobody else is at it, in the order of the content: what comes in order is proven as it
 *    comes, and need not be read again;
 * 5. where that leaves nothing, what another is late with, so that it is asked for twice.
 */
export function pickPieces(view: SwarmView, id: string, room: Room, random: Random): number[] {
  const peer = view.peer(id)
  if (peer === undefined) return []
  const pick = new Pick(view, peer, room)
  for (const piece of view.urgent) if (view.isUnasked(piece)) pick.offer(piece)
  if (peer.held !== undefined) fromPartial(pick, random)
  else if (!view.isShared) inOrder(pick)
  else if (room.isSpared && peer.isOrigin) fromOrigin(pick, random)
  else fromComplete(pick, random)
  if (pick.pieces.length === 0) lateElsewhere(pick)
  return pick.pieces
}

/** When a request for a piece counts as late, in milliseconds on the clock. */
export function lateAtMs(view: SwarmView, { askedMs, expectedMs }: Asking): number {
  if (view.unaskedCount === 0) return askedMs + expectedMs + LAST_LATE_MS
  return askedMs + Math.max(LATE_TIMES * expectedMs, LATE_MS_MIN)
}

/** What has been picked so far. */
class Pick {
  readonly view: SwarmView
  readonly peer: PeerView
  readonly room: Room
  readonly pieces: number[] = []
  readonly #picked = new Set<number>()
  #bytes = 0

  constructor(view: SwarmView, peer: PeerView, room: Room) {
    this.view = view
    this.peer = peer
    this.room = room
  }

  get isFull(): boolean {
    return this.#bytes >= this.room.bytesMax
  }

  /** Takes a piece if the peer has it and there is room. */
  offer(piece: number): boolean {
    if (this.isFull || this.#picked.has(piece) || !this.view.has(this.peer, piece)) return false
    const bytes = this.view.bytesOf(piece)
    if (this.pieces.length > 0 && this.#bytes + bytes > this.room.bytesMax) {
      this.#bytes = this.room.bytesMax
      return false
    }
    this.#picked.add(piece)
    this.pieces.push(piece)
    this.#bytes += bytes
    return true
  }

  isPicked(piece: number): boolean {
    return this.#picked.has(piece)
  }
}

function fromPartial(pick: Pick, random: Random): void {
  const { view, peer } = pick
  const { useful } = peer
  while (!pick.isFull && useful.length > 0) {
    let best = -1
    for (let looks = 0; looks < LOOKS_MAX && useful.length > 0; looks++) {
      const at = random.integer(useful.length)
      const piece = useful[at]!
      const isUseful = view.isUnasked(piece) && !pick.isPicked(piece) && view.has(peer, piece)
      if (!isUseful) {
        useful[at] = useful.at(-1)!
        useful.pop()
      } else if (best === -1 || view.holders(piece) < view.holders(best)) {
        best = piece
      }
    }
    if (best === -1 || !pick.offer(best)) break
  }
}

function inOrder(pick: Pick): void {
  for (const piece of pick.view.unaskedInOrder()) {
    if (pick.isFull) return
    pick.offer(piece)
  }
}

function fromComplete(pick: Pick, random: Random): void {
  for (const pieces of pick.view.unasked) {
    const start = pieces.length === 0 ? 0 : random.integer(pieces.length)
    for (let i = 0; i < pieces.length && !pick.isFull; i++) {
      pick.offer(pieces[(start + i) % pieces.length]!)
    }
  }
}

function fromOrigin(pick: Pick, random: Random): void {
  const { view, peer, room } = pick
  const pieces = view.unasked[0]!
  if (pieces.length === 0 || view.holders(pieces[0]!) > 0) return
  const start = random.integer(pieces.length)
  const strays: number[] = []
  for (let i = 0; i < Math.min(pieces.length, LOOKS_MAX) && !pick.isFull; i++) {
    const piece = pieces[(start + i) % pieces.length]!
    if (view.isClaimed(piece, room.nowMs)) continue
    if (view.isOwn(piece, peer)) pick.offer(piece)
    else if (room.nowMs - view.knownMs(piece) > STRAY_MS) strays.push(piece)
  }
  if (room.mayStray && pick.pieces.length === 0 && strays.length > 0) pick.offer(strays[0]!)
}

/** Pieces that another was asked for and is late with. */
function lateElsewhere(pick: Pick): void {
  const { view, peer, room } = pick
  let looks = 0
  for (const [piece, askings] of view.asked) {
    if (pick.isFull || ++looks > LOOKS_MAX) return
    if (view.isDropped(piece)) continue
    const isFree = askings.length < ASKED_MAX && askings.every((it) => it.peer !== peer.id)
    if (isFree && lateAtMs(view, askings[0]!) <= room.nowMs) pick.offer(piece)
  }
}
