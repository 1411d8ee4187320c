import { equalBytes } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Log } from '../foundation/log.ts'
import { unlessAborted } from '../foundation/single-flight.ts'
import type { SpoolStore } from '../foundation/spool.ts'
import { SpooledBytes } from '../foundation/spooled-bytes.ts'
import type { NarMeasure } from '../nar/measure-nar.ts'
import { type NarSource, renderNar } from '../nar/render-nar.ts'
import type { PathFacts } from '../pathinfo/path-facts.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'

/**
 * Length of the shortest NAR that is passed on while it comes, in bytes. Who asks for a shorter one
 * is answered once it is proven: where it is not, with a clean error.
 */
export const STREAMED_BYTES_MIN = 4 * 1024 * 1024

/** How much of a NAR is passed on at a time, in bytes. */
const PIECE_BYTES = 256 * 1024

/** What is kept back of a NAR until all of it is proven, in bytes: without it, it is not whole. */
const KEPT_BACK_BYTES = 1

/** How it ended: with what is held now, or with why it did not come. */
type End = { readonly pathInfo: PathInfo } | { readonly error: unknown }

/** What an arrival works with. */
export interface NarArrivalComponents {
  readonly spools: SpoolStore
  /** Where the content goes, from which the NAR can be made once all is there. */
  readonly castore: NarSource
  readonly log: Log
}

/**
 * A NAR on its way in, which any number of readers read while it comes: from a spool, so that none
 * of them waits for another, and who comes late or reads slowly costs no memory. Nobody has proven
 * what they are given before the last byte of it, and that is not given before all is proven.
 */
export class NarArrival {
  readonly facts: PathFacts
  readonly #components: NarArrivalComponents
  /** What has come of it; undefined before, and once nobody is to read that any more. */
  #came: SpooledBytes | undefined
  /** Where in the NAR the offer is that is being taken now. */
  #at = 0
  #attempts = 0
  /** Whether somebody was given some of it. */
  #isGiven = false
  /** What has come is all of it, and has the hash that was signed. */
  #isProven = false
  /** The spool takes no more: who reads waits for the end, and has the rest from the castore. */
  #isFull = false
  #end: End | undefined
  #readers = 0
  #changed = Promise.withResolvers<void>()

  constructor(components: NarArrivalComponents, facts: PathFacts) {
    this.#components = components
    this.facts = facts
  }

  /**
   * Passes on what an offer brings; what an earlier one has brought already is left out, unless
   * nobody was given any of that yet: then it may as well be wrong.
   */
  async *passing(nar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    if (!this.#isGiven) await this.#startOver()
    this.#attempts++
    this.#at = 0
    for await (const piece of nar) {
      await this.#take(piece)
      yield piece
    }
  }

  /** All was read of the offer that is being taken, though it may not be stored yet. */
  prove(measure: NarMeasure): void {
    // Of several offers the first bytes are those of the first.
    const isAll = this.#attempts === 1 && this.#bytes === measure.narSize
    const isRight = equalBytes(measure.narSha256, this.facts.narSha256)
    if (!isAll || !isRight || measure.narSize !== this.facts.narSize) return
    this.#isProven = true
    this.#tell()
  }

  /** Resolves once there is something to be read, or it is over. */
  async begun(call: Call): Promise<void> {
    while (this.#end === undefined && !this.#hasBegun) await this.#change(call)
  }

  get #hasBegun(): boolean {
    return this.#isProven || (this.#came !== undefined && this.facts.narSize >= STREAMED_BYTES_MIN)
  }

  /** The content is here, and proven to be what the path has. */
  async settle(pathInfo: PathInfo, call: Call): Promise<void> {
    try {
      const isOther = !equalBytes(pathInfo.narSha256, this.facts.narSha256)
      const isBroken = isOther || (this.#attempts !== 1 && !(await this.#isPartOf(pathInfo, call)))
      if (isBroken) throw new Error(`what came first of ${pathInfo.storePath} was wrong`)
      this.#finish({ pathInfo })
    } catch (error) {
      this.#finish({ error })
    }
  }

  /** It will not come. Readers that have been given some of it are told by this error. */
  fail(error: unknown): void {
    this.#finish({ error })
  }

  /** A part of the NAR, as it comes. @throws where it does not come whole, or proves to be wrong */
  async *read(
    call: Call,
    range: { readonly offset: number; readonly length: number } = {
      offset: 0,
      length: this.facts.narSize,
    },
  ): AsyncGenerator<Uint8Array> {
    this.#readers++
    try {
      const end = range.offset + range.length
      for (let at = range.offset; at < end; ) {
        const rest = Math.min(this.#readable(), end) - at
        if (rest > 0) {
          this.#isGiven = true
          const piece = await this.#came!.read(at, Math.min(rest, PIECE_BYTES))
          at += piece.length
          yield piece
        } else if (this.#end === undefined) {
          await this.#change(call)
        } else if ('error' in this.#end) {
          throw this.#end.error
        } else {
          // It came from elsewhere, or the spool could not take it.
          const left = { offset: at, length: end - at }
          yield* renderNar(this.#end.pathInfo.node, this.#components.castore, call, left)
          return
        }
      }
    } finally {
      this.#readers--
      await this.#closeUnused()
    }
  }

  /** How many bytes have come, and can be read. */
  get #bytes(): number {
    return this.#came?.size ?? 0
  }

  /** Up to where readers may read of what came. */
  #readable(): number {
    if (this.#isProven) return this.#bytes
    if (this.#end === undefined) return Math.min(this.#bytes, this.facts.narSize - KEPT_BACK_BYTES)
    return 'error' in this.#end ? 0 : this.#bytes
  }

  async #startOver(): Promise<void> {
    this.#attempts = 0
    this.#isProven = false
    this.#isFull = false
    await this.#letGo()
  }

  async #take(piece: Uint8Array): Promise<void> {
    const from = this.#bytes - this.#at
    this.#at += piece.length
    if (from >= piece.length || this.#isFull || this.#end !== undefined) return
    try {
      this.#came ??= new SpooledBytes(this.#components, { sizeMax: this.facts.narSize })
      await this.#came.push(from === 0 ? piece : piece.subarray(from))
      this.#tell()
    } catch (error) {
      this.#isFull = true
      this.#components.log.warn('the rest of a NAR waits until all of it is here', { error })
    }
  }

  /** Whether all that has come is what the NAR of the path begins with. */
  async #isPartOf(pathInfo: PathInfo, call: Call): Promise<boolean> {
    const range = { offset: 0, length: Math.min(this.#bytes, pathInfo.narSize) }
    let at = 0
    for await (const piece of renderNar(pathInfo.node, this.#components.castore, call, range)) {
      for (let from = 0; from < piece.length; ) {
        const came = await this.#came!.read(at, piece.length - from)
        if (!equalBytes(came, piece.subarray(from, from + came.length))) return false
        at += came.length
        from += came.length
      }
    }
    return at === this.#bytes
  }

  #finish(end: End): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#tell()
    void this.#closeUnused()
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  async #change(call: Call): Promise<void> {
    await unlessAborted(this.#changed.promise, call.signal)
  }

  async #closeUnused(): Promise<void> {
    if (this.#end !== undefined && this.#readers === 0) await this.#letGo()
  }

  async #letGo(): Promise<void> {
    const came = this.#came
    this.#came = undefined
    await came?.[Symbol.asyncDispose]()
  }
}
