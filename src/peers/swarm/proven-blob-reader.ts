import type { BlobReader, BlobStore, ChunkRef } from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { chunksCovering, windowsOf } from '../../castore/stores/chunk-windows.ts'
import { ProofError } from '../../castore/verified/proof-error.ts'
import { provenRange } from '../../castore/verified/proven-range.ts'
import type { ByteRange } from '../../castore/verified/range-prover.ts'
import type { Span } from '../../castore/verified/tree-shape.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import type { AnswerItem } from '../exchange/exchange-session.ts'
import { peerError } from '../peer-error.ts'
import { askInTurn } from './ask-in-turn.ts'
import { type BlobProof, BlobProofs, type NamedBlob } from './blob-proofs.ts'
import type { ContentFetchComponents } from './content-fetch-components.ts'
import type { HolderSet } from './holder-set.ts'

/** How many bytes of chunks one request asks for. */
const WINDOW_BYTES = 1024 * 1024

/** How many requests are under way beyond the one that the consumer has. */
const WINDOWS_AHEAD = 2

/**
 * Opens a blob that is not here, or not all of it, to read parts of it. Where its length is not
 * known, it is proven first, by the blob's last group. Undefined where nobody has the blob, or can
 * prove less than the whole of it: it can still be fetched whole then.
 */
export async function openProven(
  blob: NamedBlob,
  holders: HolderSet,
  components: ContentFetchComponents,
  call: Call,
): Promise<BlobReader | undefined> {
  const proofs = new BlobProofs(components, { blob, holders })
  const chunks = new ChunkReads(components, { holders })
  for (;;) {
    const proof = await proofs.current(call)
    if (proof === undefined) return undefined
    const { size } = proof.outboard.shape
    try {
      if (blob.size === undefined) await chunks.proveEnd(proof, call)
    } catch (error) {
      call.signal.throwIfAborted()
      proofs.drop(proof, error)
      continue
    }
    proofs.settleSize(size)
    const { blobs } = components.castore
    return new ProvenBlobReader({ proofs, chunks, blobs }, { digest: blob.digest, size })
  }
}

/**
 * A blob of which only those chunks are fetched that cover what is read, and kept. Nothing is
 * handed out that is not proven against the blob's digest. Who gave a false chunk list or outboard
 * is found out with the first wrong group; reading goes on there by what another says. A blob that
 * was read from end to end is held from then on.
 */
class ProvenBlobReader implements BlobReader {
  readonly size: number
  readonly #proofs: BlobProofs
  readonly #chunks: ChunkReads
  readonly #blobs: BlobStore
  readonly #digest: Digest

  constructor(
    components: { proofs: BlobProofs; chunks: ChunkReads; blobs: BlobStore },
    init: { digest: Digest; size: number },
  ) {
    this.#proofs = components.proofs
    this.#chunks = components.chunks
    this.#blobs = components.blobs
    this.#digest = init.digest
    this.size = init.size
  }

  async *read(offset: number, call: Call, length = Infinity): AsyncGenerator<Uint8Array> {
    const end = Math.min(offset + length, this.size)
    let at = offset
    while (at < end) {
      const proof = await this.#proofs.current(call)
      if (proof === undefined) {
        const fault = { code: 'no-holder', digest: this.#digest.hex } as const
        throw peerError(fault, this.#proofs.failure)
      }
      const from = at
      try {
        for await (const bytes of this.#chunks.proven(
          proof,
          { offset: at, length: end - at },
          call,
        )) {
          at += bytes.length
          yield bytes
        }
      } catch (error) {
        call.signal.throwIfAborted()
        this.#proofs.drop(proof, error)
        continue
      }
      if (from === 0 && end === this.size) await this.#keep(proof, call)
    }
  }

  /** The chunks are here, and they were all proven to be the blob. */
  async #keep({ layout, outboard }: BlobProof, call: Call): Promise<void> {
    const hashed = { digest: this.#digest, size: this.size, outboard: outboard.bytes }
    await this.#blobs.assemble(this.#digest, layout, call, hashed)
  }
}

/** Reads chunks from the store, or else from a holder. */
class ChunkReads {
  readonly #components: ContentFetchComponents
  readonly #holders: HolderSet

  constructor(components: ContentFetchComponents, init: { holders: HolderSet }) {
    this.#components = components
    this.#holders = init.holders
  }

  /** @throws ProofError where the proof is wrong; PeerError 'no-holder' where a chunk is missing */
  proven(proof: BlobProof, range: ByteRange, call: Call): AsyncGenerator<Uint8Array> {
    return provenRange(proof.outboard, range, (span) => this.#read(proof, span, call), call)
  }

  /** Proves the blob's last group, and with it how long the blob is. @throws as `proven` */
  async proveEnd(proof: BlobProof, call: Call): Promise<void> {
    const behind = { offset: proof.outboard.shape.size, length: 1 }
    for await (const _ of this.proven(proof, behind, call)) throw new Error('bytes behind the end')
  }

  async *#read({ layout }: BlobProof, { from, to }: Span, call: Call): AsyncGenerator<Uint8Array> {
    const covering = chunksCovering(layout, { from, to })
    let at = covering.from
    const windows = windowsOf(covering.chunks, WINDOW_BYTES)
    for await (const pieces of readAhead(windows, WINDOWS_AHEAD, (it) => this.#window(it, call))) {
      for (const bytes of pieces) {
        const begin = Math.max(from - at, 0)
        yield bytes.subarray(begin, to - at)
        at += bytes.length
      }
    }
  }

  async #window(chunks: readonly ChunkRef[], call: Call): Promise<Uint8Array[]> {
    const digests = chunks.map((chunk) => chunk.digest)
    const found = await this.#components.castore.blobs.readChunks(digests, call)
    const ask = async (peer: string): Promise<'enough' | 'more'> => {
      const missing = [...chunks.keys()].filter((i) => found[i] === undefined)
      if (missing.length > 0) await this.#ask(peer, chunks, missing, found, call)
      return found.includes(undefined) ? 'more' : 'enough'
    }
    if (found.includes(undefined)) {
      const { failure } = await askInTurn(this.#holders, this.#components, ask, call)
      const lost = digests.find((_, i) => found[i] === undefined)
      if (lost !== undefined) throw peerError({ code: 'no-holder', digest: lost.hex }, failure)
    }
    return found.map((bytes, i) => {
      if (bytes!.length !== chunks[i]!.size) throw wrongSize(bytes!.length)
      return bytes!
    })
  }

  /** Asks one peer for the chunks that are missing; what it has is stored, which checks it. */
  async #ask(
    peer: string,
    chunks: readonly ChunkRef[],
    missing: readonly number[],
    found: (Uint8Array | undefined)[],
    call: Call,
  ): Promise<void> {
    const want = { type: 'chunks', digests: missing.map((i) => chunks[i]!.digest) } as const
    const bytes = missing.reduce((sum, i) => sum + chunks[i]!.size, 0)
    const unanswered = new Set(missing.keys())
    const named = (index: number): number => {
      if (unanswered.delete(index)) return missing[index]!
      const what = `an answer about item ${index} of ${missing.length}, or one too many`
      throw peerError({ code: 'protocol-broken', peer, what })
    }
    const onAnswer = async (answer: AnswerItem): Promise<void> => {
      if (answer.type === 'absent') {
        for (const index of answer.indices) named(index)
        return
      }
      if (answer.type !== 'chunks') {
        const what = `${answer.type} instead of chunks`
        throw peerError({ code: 'protocol-broken', peer, what })
      }
      const came = answer.chunks.map(({ index, data }) => ({ at: named(index), bytes: data }))
      const given = came.map((it) => ({ digest: chunks[it.at]!.digest, bytes: it.bytes }))
      await this.#put(peer, given, call)
      for (const it of came) found[it.at] = it.bytes
    }
    await this.#components.client.ask(peer, { want, bytes, onAnswer }, call)
  }

  async #put(
    peer: string,
    chunks: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[],
    call: Call,
  ): Promise<void> {
    try {
      await this.#components.castore.blobs.putChunks(chunks, call)
    } catch (error) {
      const isLie = error instanceof CastoreError && error.fault.code === 'digest-mismatch'
      if (!isLie) throw error
      throw peerError({ code: 'content-corrupt', peer, digest: error.fault.digest }, error)
    }
  }
}

function wrongSize(size: number): ProofError {
  return new ProofError({ code: 'size-invalid', size }, `${size} bytes are not what was said`)
}
