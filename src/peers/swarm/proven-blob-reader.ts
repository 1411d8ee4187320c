import type { BlobReader, BlobStore, NamedBlob } from '../../castore/blob-store.ts'
import { CastoreError } from '../../castore/castore-error.ts'
import { chunksCovering, windowsOf } from '../../castore/stores/chunk-windows.ts'
import { provenRange } from '../../castore/verified/proven-range.ts'
import type { ByteRange } from '../../castore/verified/range-prover.ts'
import type { Span } from '../../castore/verified/tree-shape.ts'
import type { Call } from '../../foundation/call.ts'
import type { Digest } from '../../foundation/digest.ts'
import { readAhead } from '../../foundation/read-ahead.ts'
import { peerError } from '../peer-error.ts'
import { type BlobProof, BlobProofs } from './blob-proofs.ts'
import { ChunkReads } from './chunk-reads.ts'
import type { ContentFetchComponents } from './content-fetch-components.ts'

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
  holders: Iterable<string>,
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
      if (blob.size === undefined) await proveEnd(proof, chunks, call)
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
        const range = { offset: at, length: end - at }
        for await (const bytes of proven(proof, range, this.#chunks, call)) {
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

  /** The chunks are here, and they were all proven to be the blob, unless some have gone since. */
  async #keep({ layout, outboard }: BlobProof, call: Call): Promise<void> {
    const hashed = { digest: this.#digest, size: this.size, outboard: outboard.bytes }
    try {
      await this.#blobs.assemble(this.#digest, layout, call, hashed)
    } catch (error) {
      // The reader has all that it wanted.
      if (!(error instanceof CastoreError) || error.fault.code !== 'incomplete') throw error
    }
  }
}

/** @throws ProofError where the proof is wrong; PeerError 'no-holder' where a chunk is missing */
function proven(
  { layout, outboard }: BlobProof,
  range: ByteRange,
  chunks: ChunkReads,
  call: Call,
): AsyncGenerator<Uint8Array> {
  async function* read({ from, to }: Span): AsyncGenerator<Uint8Array> {
    const covering = chunksCovering(layout, { from, to })
    let at = covering.from
    const windows = windowsOf(covering.chunks, WINDOW_BYTES)
    for await (const pieces of readAhead(windows, WINDOWS_AHEAD, (it) => chunks.read(it, call))) {
      for (const bytes of pieces) {
        const begin = Math.max(from - at, 0)
        yield bytes.subarray(begin, to - at)
        at += bytes.length
      }
    }
  }
  return provenRange(outboard, range, read, call)
}

/** Proves the blob's last group, and with it how long the blob is. @throws as {@link proven} */
async function proveEnd(proof: BlobProof, chunks: ChunkReads, call: Call): Promise<void> {
  const behind = { offset: proof.outboard.shape.size, length: 1 }
  for await (const _ of proven(proof, behind, chunks, call)) throw new Error('bytes behind the end')
}
