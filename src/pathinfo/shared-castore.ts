import {
  type BlobReader,
  type BlobSource,
  type ChunkRef,
  type PackedChunk,
  readPacked,
} from '../castore/blob-store.ts'
import type { ReadableCastore } from '../castore/castore.ts'
import type { DirectorySource } from '../castore/directory-store.ts'
import type { Directory } from '../castore/model/directory.ts'
import type { Outboard } from '../castore/verified/outboard.ts'
import type { Call } from '../foundation/call.ts'
import type { Digest } from '../foundation/digest.ts'
import type { ReadAccess } from './read-access.ts'

/** What a {@link SharedCastore} is put together of. */
export interface SharedCastoreComponents {
  readonly castore: ReadableCastore
  readonly access: Pick<ReadAccess, 'reachesDirectory' | 'reachesBlob'>
}

/**
 * What may be read of a castore. All else is absent, as if it were not held: to know a digest
 * grants nothing.
 */
export class SharedCastore implements ReadableCastore {
  readonly blobs: BlobSource
  readonly directories: DirectorySource

  constructor(components: SharedCastoreComponents) {
    this.blobs = new SharedBlobs(components)
    this.directories = new SharedDirectories(components)
  }
}

class SharedBlobs implements BlobSource {
  readonly #blobs: BlobSource
  readonly #access: SharedCastoreComponents['access']

  constructor({ castore, access }: SharedCastoreComponents) {
    this.#blobs = castore.blobs
    this.#access = access
  }

  async layouts(
    digests: readonly Digest[],
    call: Call,
  ): Promise<(readonly ChunkRef[] | undefined)[]> {
    return await this.#reached(digests, (reached) => this.#blobs.layouts(reached, call))
  }

  async readChunks(digests: readonly Digest[], call: Call): Promise<(Uint8Array | undefined)[]> {
    return await this.#reached(digests, (reached) => this.#blobs.readChunks(reached, call))
  }

  async readPacked(digests: readonly Digest[], call: Call): Promise<(PackedChunk | undefined)[]> {
    return await this.#reached(digests, (reached) => readPacked(this.#blobs, reached, call))
  }

  async chunkSizes(digests: readonly Digest[], call: Call): Promise<(number | undefined)[]> {
    return await this.#reached(digests, (reached) => this.#blobs.chunkSizes(reached, call))
  }

  async outboard(digest: Digest, call: Call): Promise<Outboard | undefined> {
    return this.#access.reachesBlob(digest) ? await this.#blobs.outboard(digest, call) : undefined
  }

  async open(digest: Digest, call: Call, size?: number): Promise<BlobReader | undefined> {
    return this.#access.reachesBlob(digest) ? await this.#blobs.open(digest, call, size) : undefined
  }

  /** What `look` finds of those that may be read, undefined for the others. */
  async #reached<T>(
    digests: readonly Digest[],
    look: (reached: readonly Digest[]) => Promise<(T | undefined)[]>,
  ): Promise<(T | undefined)[]> {
    const mayRead = digests.map((digest) => this.#access.reachesBlob(digest))
    const found = await look(digests.filter((_, i) => mayRead[i]))
    let next = 0
    return mayRead.map((may) => (may ? found[next++] : undefined))
  }
}

class SharedDirectories implements DirectorySource {
  readonly #directories: DirectorySource
  readonly #access: SharedCastoreComponents['access']

  constructor({ castore, access }: SharedCastoreComponents) {
    this.#directories = castore.directories
    this.#access = access
  }

  async get(digest: Digest, call: Call): Promise<Directory | undefined> {
    if (!this.#access.reachesDirectory(digest)) return undefined
    return await this.#directories.get(digest, call)
  }

  async *closure(root: Digest, call: Call): AsyncGenerator<Directory> {
    if (this.#access.reachesDirectory(root)) yield* this.#directories.closure(root, call)
  }
}
