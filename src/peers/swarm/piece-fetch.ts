import type { BitSet } from '../../foundation/bit-set.ts'
import { type Call, narrowedCall } from '../../foundation/call.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Random } from '../../foundation/random.ts'
import { shuffled } from '../../foundation/random.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import { PeerError } from '../peer-error.ts'
import type { PeerLedger } from '../standing/peer-ledger.ts'
import type { Division } from './availability.ts'
import { PeerWindow } from './peer-window.ts'
import { pickPieces, STRAY_MS } from './pick-pieces.ts'
import type { PeerView, SwarmView } from './swarm-view.ts'

/** How often it is looked whether something is late. */
const LOOK_MS = 250

/** With nothing from other members for so long, origins are asked for anything. */
export const SPARE_MS = 2_000

/** Origins that give so many times what all other members give are asked for anything. */
const SPARE_TIMES = 4

/** How long members that have nothing new are waited for. */
export const PATIENCE_MS = 10_000

/**
 * How often those who failed but had delivered are tried again when nobody else is left. On a busy
 * machine an honest peer may seem to stall.
 */
export const SECOND_CHANCES_MAX = 1

/** The port to where pieces come from. */
export interface PieceTransport {
  /**
   * Asks a peer for pieces, and tells of each as it is here and proven, or is said to be lacking.
   * Resolves when the request is answered whole.
   * @throws PeerError where the peer failed; anything else ends the fetch
   */
  ask(peer: string, pieces: readonly number[], events: PieceEvents, call: Call): Promise<void>
}

/** What comes of a request. */
export interface PieceEvents {
  readonly onHere: (piece: number) => void
  readonly onLacking: (piece: number) => void
}

/** Whoever tells the other members what happens here. */
export interface PieceListener {
  readonly onHere?: (piece: number) => void
  /** Pieces were asked of an origin, or are not being fetched from it any more. */
  readonly onClaims?: (pieces: readonly number[], isFetching: boolean) => void
}

interface Request {
  readonly peer: string
  readonly pieces: Set<number>
  readonly abort: AbortController
}

interface Source {
  readonly window: PeerWindow
  /** When it was last asked for something. */
  askedMs: number
  /** It failed, and is not asked any more. */
  isOut: boolean
  /** It has delivered since its last chance. */
  hasDelivered: boolean
}

/**
 * Fetches pieces from many peers at once: fills each one's window with what {@link pickPieces}
 * chooses, asks elsewhere for what is late, and takes back what another has brought.
 */
export class PieceFetch {
  readonly #view: SwarmView
  readonly #transport: PieceTransport
  readonly #ledger: Pick<PeerLedger, 'standing'>
  readonly #clock: Clock
  readonly #random: Random
  readonly #listener: PieceListener
  readonly #sources = new Map<string, Source>()
  readonly #requests = new Set<Request>()
  readonly #over = new AbortController()
  #changed = Promise.withResolvers<void>()
  #secondChances = 0
  /** Whether pieces may still become known. */
  #isGrowing: boolean
  /** When something last came here, or a member had something new. */
  #progressMs: number
  /** When something last came from other members, or they had something new. */
  #sharedMs: number
  #lastFailure: unknown

  constructor(
    components: {
      view: SwarmView
      transport: PieceTransport
      ledger: Pick<PeerLedger, 'standing'>
      clock: Clock
      random: Random
    },
    listener: PieceListener = {},
    init: { readonly isGrowing?: boolean } = {},
  ) {
    this.#isGrowing = init.isGrowing ?? false
    this.#view = components.view
    this.#transport = components.transport
    this.#ledger = components.ledger
    this.#clock = components.clock
    this.#random = components.random
    this.#listener = listener
    this.#progressMs = this.#clock.now()
    this.#sharedMs = this.#clock.now()
  }

  /** The last failure of a peer, for saying why something could not be had. */
  get lastFailure(): unknown {
    return this.#lastFailure
  }

  /** Whether it has been said what a peer has. */
  knows(peer: string): boolean {
    return this.#view.peer(peer) !== undefined
  }

  /** A peer has everything. */
  meetComplete(peer: string): void {
    this.#view.addComplete(peer)
    this.#news()
  }

  /** A peer that has everything says how the work is divided. */
  divided(peer: string, division: Division): void {
    this.#view.divide(peer, division)
    this.#change()
  }

  /** A peer has these pieces, and is fetching the others. */
  meetPartial(peer: string, held: BitSet): void {
    this.#view.addPartial(peer, held)
    const source = this.#sources.get(peer)
    if (source !== undefined) source.isOut = false
    this.#sharedMs = this.#clock.now()
    this.#news()
  }

  /** A member has got pieces. */
  gained(peer: string, pieces: readonly number[]): void {
    for (const piece of pieces) this.#view.gained(peer, piece)
    this.#sharedMs = this.#clock.now()
    this.#news()
  }

  /** A member says that it is fetching pieces from an origin, or not any more. */
  claimed(peer: string, pieces: readonly number[], isFetching: boolean): void {
    const nowMs = this.#clock.now()
    for (const piece of pieces) this.#view.claimed(peer, piece, isFetching, nowMs)
    if (!isFetching) this.#change()
  }

  /** Pieces have become known, of which so many bytes each are to be fetched. */
  want(pieces: ReadonlyMap<number, number>): void {
    const nowMs = this.#clock.now()
    for (const [piece, bytes] of pieces) this.#view.want(piece, bytes, nowMs)
    this.#sharedMs = nowMs // nobody can have given any of it before
    this.#news()
  }

  /** No more pieces become known: it ends when all of them have come. */
  close(): void {
    this.#isGrowing = false
    this.#change()
  }

  /** A member that has only part has gone. */
  part(peer: string): void {
    if (this.#view.peer(peer)?.held === undefined) return
    this.#view.remove(peer)
    this.#change()
  }

  /** Readers wait for these pieces, and for no others. */
  hurry(pieces: readonly number[]): void {
    this.#view.urgent = pieces
    this.#change()
  }

  /** Pieces are not wanted any more. What is on its way may come. */
  drop(pieces: Iterable<number>): void {
    for (const piece of pieces) this.#view.drop(piece)
    this.#change()
  }

  /** Something has gone wrong that no other peer can make good. */
  fail(error: unknown): void {
    this.#over.abort(error)
    this.#change()
  }

  /** Resolves when every piece has come, or nobody who is left has what is missing. */
  async run(call: Call): Promise<void> {
    const inner = narrowedCall(call, this.#over.signal)
    const looking = this.#lookAgain(inner)
    try {
      while (this.#isGrowing || this.#view.left > 0) {
        inner.signal.throwIfAborted()
        this.#fillWindows(inner)
        const isIdle = this.#requests.size === 0
        const mayEnd = isIdle && !this.#isGrowing && !this.#hasHope()
        if (mayEnd && !this.#giveSecondChance()) return
        await unlessAborted(this.#changed.promise, inner.signal)
      }
    } finally {
      this.#over.abort(new Error('the fetch is over'))
      await looking
      while (this.#requests.size > 0) await this.#changed.promise
    }
  }

  #fillWindows(call: Call): void {
    const peers = shuffled([...this.#view.peers], this.#random)
    // Those that have part come first: what they give, nobody needs to ask an origin for.
    peers.sort((a, b) => Number(a.held === undefined) - Number(b.held === undefined))
    for (const peer of peers) {
      const source = this.#source(peer.id)
      if (source.isOut || this.#ledger.standing(peer.id) === 'banned') continue
      while (source.window.portionBytes > 0 && this.#askOne(peer, source, call));
    }
  }

  /** Makes one request of a peer. Says whether there was something to ask for. */
  #askOne(peer: PeerView, source: Source, call: Call): boolean {
    const { window } = source
    const nowMs = this.#clock.now()
    const room = {
      bytesMax: window.portionBytes,
      isSpared: this.#isSpared(peer, nowMs),
      mayStray: this.#mayStray(peer, source, nowMs),
      nowMs,
    }
    const pieces = pickPieces(this.#view, peer.id, room, this.#random)
    if (pieces.length === 0) return false
    source.askedMs = nowMs
    const bytes = pieces.reduce((sum, piece) => sum + this.#view.bytesOf(piece), 0)
    const expectedMs = window.expectedMs(bytes)
    for (const piece of pieces) {
      this.#view.ask(piece, { peer: peer.id, askedMs: nowMs, expectedMs })
    }
    const request = { peer: peer.id, pieces: new Set(pieces), abort: new AbortController() }
    this.#requests.add(request)
    void this.#run(request, source, bytes, narrowedCall(call, request.abort.signal))
    return true
  }

  async #run(request: Request, source: Source, bytes: number, call: Call): Promise<void> {
    const { peer } = request
    const pieces = [...request.pieces]
    const isOrigin = this.#view.peer(peer)?.isOrigin === true && this.#view.isShared
    const flight = source.window.begin(bytes, this.#clock.now())
    if (isOrigin) this.#listener.onClaims?.(pieces, true)
    let isWhole = false
    try {
      await this.#transport.ask(peer, pieces, this.#events(request, source), call)
      isWhole = true
    } catch (error) {
      if (!call.signal.aborted) this.#failed(error, source)
    } finally {
      const nowMs = this.#clock.now()
      source.window.end(flight, { isWhole, nowMs })
      if (!isOrigin) this.#sharedMs = nowMs
      for (const piece of pieces) this.#view.giveBack(piece, peer)
      if (isOrigin) this.#listener.onClaims?.(pieces, false)
      this.#requests.delete(request)
      this.#change()
    }
  }

  #events(request: Request, source: Source): PieceEvents {
    return {
      onHere: (piece) => {
        request.pieces.delete(piece)
        source.hasDelivered = true
        if (this.#view.isWanted(piece)) {
          this.#settle(piece)
          this.#listener.onHere?.(piece)
        }
        this.#news()
      },
      onLacking: (piece) => {
        request.pieces.delete(piece)
        this.#view.lacks(request.peer, piece)
        this.#view.giveBack(piece, request.peer)
        this.#change()
      },
    }
  }

  /** What other requests would bring of it is taken back once they have nothing else to bring. */
  #settle(piece: number): void {
    const isAskedTwice = (this.#view.asked.get(piece)?.length ?? 0) > 1
    this.#view.settle(piece)
    if (!isAskedTwice) return
    for (const { pieces, abort } of this.#requests) {
      if (pieces.delete(piece) && pieces.size === 0) abort.abort(new Error('another was faster'))
    }
  }

  #failed(error: unknown, source: Source): void {
    if (error instanceof PeerError) {
      this.#lastFailure = error
      source.isOut = true
    } else {
      this.fail(error)
    }
  }

  /** Whether it is asked only for what nobody else has, because others give enough. */
  #isSpared(peer: PeerView, nowMs: number): boolean {
    if (!peer.isOrigin || !this.#view.isShared) return false
    // Where the work is divided, what the others fetch may take a while to come round.
    const lastMs = peer.division === undefined ? this.#sharedMs : this.#progressMs
    if (nowMs - lastMs > SPARE_MS) return false
    const own = this.#sources.get(peer.id)?.window.bytesPerMs
    let others = 0
    for (const { id, isOrigin } of this.#view.peers) {
      const { bytesPerMs } = this.#source(id).window
      if (isOrigin) continue
      if (bytesPerMs === undefined) return true // not known yet
      others += bytesPerMs
    }
    return own === undefined || own < SPARE_TIMES * others
  }

  /** Those to whom pieces fall may be slow, or gone. */
  #mayStray({ division }: PeerView, { window, askedMs }: Source, nowMs: number): boolean {
    const hasWaited = division === undefined || nowMs - askedMs > STRAY_MS
    return window.inFlightBytes === 0 && hasWaited
  }

  /** Whether something may come without a request being under way. */
  #hasHope(): boolean {
    const nowMs = this.#clock.now()
    const isPatient = nowMs - this.#progressMs < PATIENCE_MS
    for (const peer of this.#view.peers) {
      if (this.#source(peer.id).isOut || this.#ledger.standing(peer.id) === 'banned') continue
      if (peer.held !== undefined && isPatient) return true
      if (peer.held === undefined && this.#mayGive(peer)) return true
    }
    return false
  }

  #mayGive(peer: PeerView): boolean {
    for (const pieces of this.#view.unasked) {
      for (const piece of pieces) if (this.#view.has(peer, piece)) return true
    }
    return false
  }

  #giveSecondChance(): boolean {
    if (this.#secondChances++ >= SECOND_CHANCES_MAX) return false
    let any = false
    for (const source of this.#sources.values()) {
      if (!source.isOut || !source.hasDelivered) continue
      source.isOut = false
      source.hasDelivered = false
      any = true
    }
    this.#change()
    return any
  }

  #source(peer: string): Source {
    const known = this.#sources.get(peer)
    if (known !== undefined) return known
    const asked = { window: new PeerWindow(), askedMs: this.#clock.now() }
    const source = { ...asked, isOut: false, hasDelivered: false }
    this.#sources.set(peer, source)
    return source
  }

  /** Has it looked for what is late from time to time, whatever happens. */
  async #lookAgain(call: Call): Promise<void> {
    while (!call.signal.aborted) {
      await this.#clock.sleep(LOOK_MS, call).catch(() => undefined) // the fetch is over
      this.#change()
    }
  }

  #news(): void {
    this.#progressMs = this.#clock.now()
    this.#change()
  }

  #change(): void {
    const changed = this.#changed
    this.#changed = Promise.withResolvers<void>()
    changed.resolve()
  }
}
