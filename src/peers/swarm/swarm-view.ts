import type { BitSet } from '../../foundation/bit-set.ts'
import type { Division } from './availability.ts'

/** For how long a peer's word that it is fetching a piece keeps others from asking for it, too. */
export const CLAIM_MS = 10_000

/** How many peers are asked for one piece at the same time. */
export const ASKED_MAX = 2

/** A request for a piece that is under way. */
export interface Asking {
  readonly peer: string
  readonly askedMs: number
  /** How long it should take, by what the peer has shown so far, in milliseconds. */
  readonly expectedMs: number
}

/** What is known of a peer. */
export interface PeerView {
  readonly id: string
  /** Whether it had everything when it was met: where content comes from, to be spared. */
  readonly isOrigin: boolean
  /** Undefined where it has everything. */
  held: BitSet | undefined
  /** What it has of which nobody has been asked yet, and some more: for choosing from. */
  readonly useful: number[]
  /** What it was asked for and turned out not to have. */
  readonly lacking: Set<number>
  /** What it says that it is fetching, and when it said so. */
  readonly claims: Map<number, number>
  /** Its share in dividing the work among members. */
  readonly seed: number
  /** How those who fetch from it divide the work, where it has everything and says so. */
  division?: Division
}

/**
 * What one node knows of the others that fetch the same root, and of what it still wants: plain
 * data, without clock, chance or network. {@link pickPieces} decides by it.
 */
export class SwarmView {
  readonly #sizes: Uint32Array
  /** When a piece became known that was not from the start. */
  readonly #knownMs: Float64Array
  /** Whether a piece is still to come. */
  readonly #wanted: Uint8Array
  /** How many peers have each piece, without those that have everything. */
  readonly #rarity: Uint16Array
  /** By that number, the pieces of which nobody has been asked. */
  readonly #unasked: number[][] = [[]]
  /** Where in its list a piece is; -1 where it has been asked for, or is not wanted. */
  readonly #place: Int32Array
  readonly #asked = new Map<number, Asking[]>()
  /** Those of the asked ones that nobody wants any more. */
  readonly #dropped = new Set<number>()
  readonly #peers = new Map<string, PeerView>()
  readonly #seed: number
  readonly #salt: number
  #left = 0
  /** Before this, all pieces have been asked for or are not wanted. */
  #firstUnasked = 0
  #partialPeers = 0
  #completeNeighbours = 0
  /** What a reader waits for, the most urgent first. */
  urgent: readonly number[] = []

  /**
   * @param init.self the id of this node, for dividing the work
   * @param init.sizes how many bytes of each piece are to be fetched; 0 for what is here
   * @param init.salt the same for all who fetch the same, and another for other content, so that
   *   the first pieces do not always fall to the same node; none by default
   */
  constructor(init: {
    readonly self: string
    readonly sizes: readonly number[]
    readonly salt?: string
  }) {
    this.#salt = init.salt === undefined ? 0 : seedOf(init.salt)
    this.#sizes = Uint32Array.from(init.sizes)
    this.#knownMs = new Float64Array(init.sizes.length).fill(Number.NEGATIVE_INFINITY)
    this.#wanted = new Uint8Array(init.sizes.length)
    this.#rarity = new Uint16Array(init.sizes.length)
    this.#place = new Int32Array(init.sizes.length).fill(-1)
    this.#seed = seedOf(init.self)
    for (const [piece, size] of init.sizes.entries()) {
      if (size === 0) continue
      this.#wanted[piece] = 1
      this.#left++
      this.#enter(piece)
    }
  }

  /** How many pieces there are, wanted or not. */
  get pieces(): number {
    return this.#sizes.length
  }

  /** How many pieces are still to come. */
  get left(): number {
    return this.#left
  }

  /** How many of these nobody has been asked for. */
  get unaskedCount(): number {
    return this.#left - this.#asked.size
  }

  /** Whether others are at it as well, so that each of them can have pieces to give. */
  get isShared(): boolean {
    return this.#partialPeers > 0 || this.#completeNeighbours > 0
  }

  get peers(): IterableIterator<PeerView> {
    return this.#peers.values()
  }

  peer(id: string): PeerView | undefined {
    return this.#peers.get(id)
  }

  /** How many bytes of a piece are to be fetched. */
  bytesOf(piece: number): number {
    return this.#sizes[piece]!
  }

  isWanted(piece: number): boolean {
    return this.#wanted[piece] === 1
  }

  /** Whether a piece that is on its way is not wanted any more. */
  isDropped(piece: number): boolean {
    return this.#dropped.has(piece)
  }

  isUnasked(piece: number): boolean {
    return this.#place[piece] !== -1
  }

  /** When a piece became known, in milliseconds on the clock; long ago where it always was. */
  knownMs(piece: number): number {
    return this.#knownMs[piece]!
  }

  /** How many peers have a piece, but for origins. */
  holders(piece: number): number {
    return this.#rarity[piece]! + this.#completeNeighbours
  }

  /** By how many peers have them, the pieces that nobody has been asked for. */
  get unasked(): readonly (readonly number[])[] {
    return this.#unasked
  }

  /** The same in the order of the content. */
  *unaskedInOrder(): IterableIterator<number> {
    while (this.#firstUnasked < this.pieces && !this.isUnasked(this.#firstUnasked)) {
      this.#firstUnasked++
    }
    for (let piece = this.#firstUnasked; piece < this.pieces; piece++) {
      if (this.isUnasked(piece)) yield piece
    }
  }

  /** Requests for pieces that are under way, in the order they were made. */
  get asked(): ReadonlyMap<number, readonly Asking[]> {
    return this.#asked
  }

  /** Whether a peer has a piece, as far as is known. */
  has(peer: PeerView, piece: number): boolean {
    return (peer.held === undefined || peer.held.has(piece)) && !peer.lacking.has(piece)
  }

  /** Whether another says that it is fetching the piece from one who has everything. */
  isClaimed(piece: number, nowMs: number): boolean {
    for (const { claims } of this.#peers.values()) {
      const saidMs = claims.get(piece)
      if (saidMs !== undefined && nowMs - saidMs < CLAIM_MS) return true
    }
    return false
  }

  /**
   * Whether it falls to this node to fetch a piece that only origins have, so that the others can
   * have it from here: as the origin has divided the work. Where it does not say, each member comes
   * to the same answer by the members that it knows (rendezvous hashing).
   */
  isOwn(piece: number, origin: PeerView): boolean {
    const { division } = origin
    if (division !== undefined) {
      return weight(this.#salt, piece) % division.members === division.rank
    }
    const own = weight(this.#seed ^ this.#salt, piece)
    for (const { held, isOrigin, seed } of this.#peers.values()) {
      if (held !== undefined && !isOrigin && weight(seed ^ this.#salt, piece) > own) return false
    }
    return true
  }

  /** A peer that has everything; `isOrigin` unless it was seen to come by it. */
  addComplete(id: string): void {
    const known = this.#peers.get(id)
    if (known === undefined) {
      this.#peers.set(id, newPeer(id, { isOrigin: true, held: undefined }))
    } else {
      this.#complete(known)
    }
  }

  /** A peer that has everything says how those divide the work who fetch from it. */
  divide(id: string, division: Division): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined) peer.division = division
  }

  /** A peer that has some pieces and is fetching the others; it takes over `held`. */
  addPartial(id: string, held: BitSet): void {
    this.remove(id)
    const peer = newPeer(id, { isOrigin: false, held })
    this.#peers.set(id, peer)
    this.#partialPeers++
    for (const piece of held) this.#gained(peer, piece)
  }

  /** A peer has got a piece. */
  gained(id: string, piece: number): void {
    const peer = this.#peers.get(id)
    if (peer?.held === undefined) return
    peer.claims.delete(piece)
    if (peer.held.add(piece)) this.#gained(peer, piece)
  }

  /** A peer says that it is fetching a piece from an origin, or not any more. */
  claimed(id: string, piece: number, isFetching: boolean, nowMs: number): void {
    const claims = this.#peers.get(id)?.claims
    if (isFetching) claims?.set(piece, nowMs)
    else claims?.delete(piece)
  }

  /** A peer has gone. What it was asked for is given back by who asked. */
  remove(id: string): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    if (peer.held === undefined) {
      if (!peer.isOrigin) this.#completeNeighbours--
      return
    }
    this.#partialPeers--
    for (const piece of peer.held) this.#setRarity(piece, this.#rarity[piece]! - 1)
  }

  /** A peer does not have a piece after all. */
  lacks(id: string, piece: number): void {
    this.#peers.get(id)?.lacking.add(piece)
  }

  /** A piece has become known of which so many bytes are to be fetched: the list grows. */
  want(piece: number, bytes: number, nowMs: number): void {
    if (this.#wanted[piece] === 1 || bytes === 0) return
    this.#sizes[piece] = bytes
    this.#knownMs[piece] = nowMs
    this.#wanted[piece] = 1
    this.#left++
    this.#enter(piece)
    for (const peer of this.#peers.values()) {
      if (peer.held?.has(piece) === true) peer.useful.push(piece)
    }
  }

  /** A piece is asked of a peer. */
  ask(piece: number, asking: Asking): void {
    const askings = this.#asked.get(piece)
    if (askings === undefined) this.#asked.set(piece, [asking])
    else askings.push(asking)
    this.#leave(piece)
  }

  /** A request is over: what has not come with it may be asked of others. */
  giveBack(piece: number, peer: string): void {
    const askings = this.#asked.get(piece)
    if (askings === undefined) return
    const left = askings.filter((asking) => asking.peer !== peer)
    if (left.length > 0) {
      this.#asked.set(piece, left)
      return
    }
    this.#asked.delete(piece)
    if (this.#dropped.delete(piece)) this.settle(piece)
    if (this.#wanted[piece] !== 1) return
    this.#enter(piece)
    for (const holder of this.#peers.values()) {
      if (holder.held?.has(piece) === true) holder.useful.push(piece)
    }
  }

  /** A piece is here. */
  settle(piece: number): void {
    if (this.#wanted[piece] !== 1) return
    this.#dropped.delete(piece)
    this.#wanted[piece] = 0
    this.#left--
    this.#asked.delete(piece)
    this.#leave(piece)
  }

  /** A piece is not wanted any more: it is not asked for again. */
  drop(piece: number): void {
    if (this.#asked.has(piece)) this.#dropped.add(piece)
    else this.settle(piece)
  }

  #complete(peer: PeerView): void {
    if (peer.held === undefined) return
    for (const piece of peer.held) this.#setRarity(piece, this.#rarity[piece]! - 1)
    peer.held = undefined
    peer.claims.clear()
    peer.useful.length = 0
    this.#partialPeers--
    if (!peer.isOrigin) this.#completeNeighbours++
  }

  #gained(peer: PeerView, piece: number): void {
    this.#setRarity(piece, this.#rarity[piece]! + 1)
    if (this.isUnasked(piece)) peer.useful.push(piece)
  }

  #setRarity(piece: number, rarity: number): void {
    const isUnasked = this.isUnasked(piece)
    if (isUnasked) this.#leave(piece)
    this.#rarity[piece] = rarity
    if (isUnasked) this.#enter(piece)
  }

  #enter(piece: number): void {
    const rarity = this.#rarity[piece]!
    while (this.#unasked.length <= rarity) this.#unasked.push([])
    this.#place[piece] = this.#unasked[rarity]!.push(piece) - 1
    this.#firstUnasked = Math.min(this.#firstUnasked, piece)
  }

  #leave(piece: number): void {
    const place = this.#place[piece]!
    if (place === -1) return
    const list = this.#unasked[this.#rarity[piece]!]!
    const last = list.pop()!
    if (last !== piece) {
      list[place] = last
      this.#place[last] = place
    }
    this.#place[piece] = -1
  }
}

function newPeer(
  id: string,
  init: { readonly isOrigin: boolean; readonly held: BitSet | undefined },
): PeerView {
  return {
    id,
    ...init,
    useful: [],
    lacking: new Set(),
    claims: new Map(),
    seed: seedOf(id),
  }
}

/** FNV-1a of an id. */
function seedOf(id: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

function weight(seed: number, piece: number): number {
  let mixed = Math.imul(seed ^ Math.imul(piece + 1, 0x9e3779b1), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
