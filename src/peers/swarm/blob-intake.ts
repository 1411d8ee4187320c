import type { Castore } from '../../castore/castore.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import { BitSet } from '../../foundation/bit-set.ts'
import type { Call } from '../../foundation/call.ts'
import { Digest } from '../../foundation/digest.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import { BlobAssembly, EARLY_BYTES_MAX } from './blob-assembly.ts'
import type { SourcedLayout, WantedBlob } from './content-fetch-components.ts'
import type { PieceList } from './piece-list.ts'
import { storeTaken, type TakenChunk } from './taken-chunks.ts'

/** How many chunks are looked up in the local store at once. */
const LOOKUP_CHUNKS = 1024

interface Use {
  readonly assembly: BlobAssembly
  readonly index: number
}

/** What it tells of. */
export interface IntakeListener {
  /** Nobody wants these pieces any more: they belonged to a chunk list that was a lie. */
  readonly onDropped: (pieces: readonly number[]) => void
}

/**
 * Takes in the chunks of blobs that are being fetched, and puts the blobs together of them. Knows
 * of each chunk of a {@link PieceList} whether it is here, wanted, or neither.
 */
export class BlobIntake {
  readonly #castore: Castore
  readonly #pieces: PieceList
  readonly #progress: FetchProgress
  readonly #uses = new Map<number, Use[]>()
  readonly #singles = new Map<number, WantedBlob>()
  readonly #here: BitSet
  readonly #wanted: BitSet
  /** Chunks that are wanted no more. What comes of them all the same is kept. */
  readonly #dropped: BitSet
  /** How many of each piece's chunks are wanted and not here. */
  readonly #missing: Uint16Array
  /** Where the layout of each assembly that is not at its end comes from. */
  readonly #sources = new Map<BlobAssembly, SourcedLayout>()
  readonly #falsehoods = new Set<SourcedLayout>()
  readonly #earlyRoom = { bytes: EARLY_BYTES_MAX }
  #onDropped: IntakeListener['onDropped'] = () => undefined

  /** @param init.layouts the blobs that are missing; their chunks are in the list */
  constructor(
    components: { castore: Castore; progress: FetchProgress },
    init: { readonly pieces: PieceList; readonly layouts: readonly SourcedLayout[] },
  ) {
    this.#castore = components.castore
    this.#progress = components.progress
    this.#pieces = init.pieces
    this.#here = new BitSet(init.pieces.chunks.length)
    this.#wanted = new BitSet(init.pieces.chunks.length)
    this.#dropped = new BitSet(init.pieces.chunks.length)
    this.#missing = new Uint16Array(init.pieces.size)
    const numbers = new Map(init.pieces.chunks.map(({ digest }, i) => [digest.hex, i]))
    for (const sourced of init.layouts) this.#plan(sourced, numbers)
  }

  /** Layouts that turned out to be lies. */
  get falsehoods(): readonly SourcedLayout[] {
    return [...this.#falsehoods]
  }

  /** The layouts of blobs that have not been put together: wrong perhaps, or just unlucky. */
  get stuck(): readonly SourcedLayout[] {
    return [...this.#sources.values()].filter((sourced) => !this.#falsehoods.has(sourced))
  }

  /** How many bytes of a piece are wanted and not here. */
  bytesMissing(piece: number): number {
    return this.missingOf(piece).reduce((sum, i) => sum + this.#pieces.chunks[i]!.size, 0)
  }

  /** The numbers of a piece's chunks that are wanted and not here. */
  missingOf(piece: number): number[] {
    if (this.#missing[piece] === 0) return []
    const [begin, end] = this.#pieces.chunksOf(piece)
    const missing: number[] = []
    for (let i = begin; i < end; i++) if (this.#wanted.has(i) && !this.#here.has(i)) missing.push(i)
    return missing
  }

  /** Whether all of a piece is here. */
  isHere(piece: number): boolean {
    if (this.#missing[piece] !== 0) return false
    const [begin, end] = this.#pieces.chunksOf(piece)
    for (let i = begin; i < end; i++) if (this.#dropped.has(i) && !this.#here.has(i)) return false
    return true
  }

  /** A blob of one chunk that is missing, if there is one: its layout can not be wrong. */
  missingSingle(): Digest | undefined {
    for (const [chunk, { digest }] of this.#singles) if (!this.#here.has(chunk)) return digest
    return undefined
  }

  onDropped(listener: IntakeListener['onDropped']): void {
    this.#onDropped = listener
  }

  /** Notes which chunks are in the store already. */
  async takeHeld(call: Call): Promise<void> {
    const wanted = [...this.#wanted]
    const whole: BlobAssembly[] = []
    for (let i = 0; i < wanted.length; i += LOOKUP_CHUNKS) {
      const batch = wanted.slice(i, i + LOOKUP_CHUNKS)
      const digests = batch.map((chunk) => this.#pieces.chunks[chunk]!.digest)
      const sizes = await this.#castore.blobs.chunkSizes(digests, call)
      for (const [at, chunk] of batch.entries()) {
        const size = sizes[at]
        if (size !== undefined) whole.push(...this.#arrived(chunk, size))
      }
    }
    for (const assembly of whole) await this.#finish(assembly, call)
  }

  /** Whether content of an unexpected length is right all the same, and the layout was wrong. */
  isRight(chunk: number, bytes: Uint8Array): boolean {
    const { digest, size } = this.#pieces.chunks[chunk]!
    if (bytes.length === size) return true // hashed when it is stored
    if (this.#singles.has(chunk)) return false // its length is in the Directory
    return Digest.ofContent(bytes).equals(digest)
  }

  /**
   * Stores chunks that a peer has sent, which checks them. From now on they can be served.
   * @throws PeerError 'content-corrupt'
   */
  async take(peer: string, taken: readonly TakenChunk[], call: Call): Promise<void> {
    const fresh = taken.filter(({ chunk }) => !this.#here.has(chunk))
    await storeTaken({ castore: this.#castore, pieces: this.#pieces }, peer, fresh, call)
    for (const { chunk, bytes } of fresh) {
      if (this.#here.has(chunk)) continue // another was faster
      for (const whole of this.#arrived(chunk, bytes.length, bytes)) await this.#finish(whole, call)
    }
  }

  /** What is not whole is not counted as done. */
  end(): void {
    for (const assembly of this.#sources.keys()) {
      this.#progress.bytesDone -= assembly.bytesHere
      assembly.abandon()
    }
  }

  #plan(sourced: SourcedLayout, numbers: ReadonlyMap<string, number>): void {
    const { blob, layout, outboard } = sourced
    if (layout.length === 0) {
      this.#countBlob(blob) // the empty blob needs nothing
    } else if (layout.length === 1) {
      const chunk = numbers.get(blob.digest.hex)!
      this.#singles.set(chunk, blob)
      this.#want(chunk)
    } else {
      const assembly = new BlobAssembly(blob.digest, layout, this.#earlyRoom, outboard)
      this.#sources.set(assembly, sourced)
      for (const [index, { digest }] of layout.entries()) {
        const chunk = numbers.get(digest.hex)!
        const uses = this.#uses.get(chunk)
        if (uses === undefined) this.#uses.set(chunk, [{ assembly, index }])
        else uses.push({ assembly, index })
        this.#want(chunk)
      }
    }
  }

  #want(chunk: number): void {
    if (this.#wanted.add(chunk)) this.#count(chunk, 1)
  }

  #count(chunk: number, by: 1 | -1): void {
    const piece = this.#pieces.pieceOf(chunk)
    this.#missing[piece] = this.#missing[piece]! + by
  }

  /** Notes that a chunk of that size is in the store; returns the blobs that are whole with it. */
  #arrived(chunk: number, size: number, bytes?: Uint8Array): BlobAssembly[] {
    this.#here.add(chunk)
    if (this.#wanted.has(chunk)) this.#count(chunk, -1)
    const single = this.#singles.get(chunk)
    if (single !== undefined) this.#countBlob(single)
    const whole: BlobAssembly[] = []
    for (const { assembly, index } of this.#uses.get(chunk) ?? []) {
      const before = assembly.isWhole
      if (this.#isDisproved(assembly)) continue
      if (!takes(assembly, index, size, bytes)) {
        this.#disprove(assembly)
        continue
      }
      this.#progress.bytesDone += size
      if (assembly.isWhole && !before) whole.push(assembly)
    }
    return whole
  }

  async #finish(assembly: BlobAssembly, call: Call): Promise<void> {
    try {
      await assembly.finish(this.#castore.blobs, call)
      this.#sources.delete(assembly)
      this.#progress.filesDone++
    } catch (error) {
      const isMismatch = error instanceof CastoreError && error.fault.code === 'digest-mismatch'
      if (!isMismatch && !(error instanceof ProofError)) throw error
      this.#disprove(assembly)
    }
  }

  /** Its layout is a lie: what only that asks for is wanted no more. What is here stays. */
  #disprove(assembly: BlobAssembly): void {
    const sourced = this.#sources.get(assembly)
    if (sourced === undefined || this.#falsehoods.has(sourced)) return
    this.#falsehoods.add(sourced)
    assembly.abandon()
    const dropped = new Set<number>()
    for (const [chunk, uses] of this.#uses) {
      const isOfIt = uses.some((use) => use.assembly === assembly)
      if (!isOfIt || this.#here.has(chunk) || this.#isNeeded(chunk, uses)) continue
      if (!this.#wanted.delete(chunk)) continue
      this.#dropped.add(chunk)
      this.#count(chunk, -1)
      const piece = this.#pieces.pieceOf(chunk)
      if (this.#missing[piece] === 0) dropped.add(piece)
    }
    if (dropped.size > 0) this.#onDropped([...dropped])
  }

  #isNeeded(chunk: number, uses: readonly Use[]): boolean {
    return this.#singles.has(chunk) || uses.some((use) => !this.#isDisproved(use.assembly))
  }

  #isDisproved(assembly: BlobAssembly): boolean {
    const sourced = this.#sources.get(assembly)
    return sourced !== undefined && this.#falsehoods.has(sourced)
  }

  #countBlob(blob: WantedBlob): void {
    this.#progress.filesDone++
    this.#progress.bytesDone += blob.size
  }
}

/** Whether a chunk of that size is what an assembly needs there, as far as that is known. */
function takes(assembly: BlobAssembly, index: number, size: number, bytes?: Uint8Array): boolean {
  if (assembly.layout[index]!.size !== size) return false
  try {
    assembly.arrived(index, bytes)
    return true
  } catch (error) {
    if (error instanceof ProofError) return false
    throw error
  }
}
