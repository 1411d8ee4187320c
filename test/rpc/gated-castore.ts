import type { BlobReader, BlobWriter } from '../../src/castore/blob-store.ts'
import type { Castore } from '../../src/castore/castore.ts'
import { Digest, DigestBuilder } from '../../src/foundation/digest.ts'
import { noise } from '../fixtures/content.ts'

/** One piece of the blob that a {@link GatedBlobs} reads out for ever. */
export const PIECE = noise(262_144, 'piece')

/** Blobs that keep nothing: writing waits at a gate, reading goes on for a given length. */
export class GatedBlobs {
  /** Bytes that writing was given, and that reading gave. */
  written = 0
  read = 0
  /** How many writers and readers have been disposed of. */
  closed = 0
  readonly #bytes: number
  #digest: Digest | undefined
  #gate = Promise.withResolvers<void>()

  constructor(_components: object, init: { bytes: number }) {
    this.#bytes = init.bytes
  }

  /** Lets all writing through from now on. */
  open(): void {
    this.#gate.resolve()
  }

  /** The castore with these blobs. */
  readonly around = (castore: Castore): Castore => ({
    ...castore,
    blobs: Object.assign(Object.create(castore.blobs), {
      create: () => this.#writer(),
      layouts: async () => [[{ digest: this.digest, size: this.#bytes }]],
      open: async () => this.#reader(),
    }),
  })

  /** Of all that reading gives. */
  get digest(): Digest {
    if (this.#digest !== undefined) return this.#digest
    const builder = new DigestBuilder()
    for (let at = 0; at < this.#bytes; at += PIECE.length) builder.update(PIECE)
    this.#digest = builder.finish()
    return this.#digest
  }

  #writer(): BlobWriter {
    const builder = new DigestBuilder()
    return {
      write: async (bytes, { signal }) => {
        this.written += bytes.length
        builder.update(bytes)
        await Promise.race([
          this.#gate.promise,
          new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
          ),
        ])
      },
      commit: async () => builder.finish(),
      [Symbol.asyncDispose]: async () => {
        this.closed++
      },
    }
  }

  #reader(): BlobReader {
    const gated = this
    return {
      size: this.#bytes,
      async *read() {
        try {
          while (gated.read < gated.#bytes) {
            gated.read += PIECE.length
            yield PIECE
          }
        } finally {
          gated.closed++
        }
      },
    }
  }
}

/** A digest for asking {@link GatedBlobs}, which have whatever is asked for. */
export const ANY_DIGEST = Digest.ofContent(PIECE)
