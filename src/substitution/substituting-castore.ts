import type {
  BlobReader,
  BlobStore,
  BlobWriter,
  ChunkRef,
  NamedBlob,
} from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import type { DirectorySource, DirectoryStore } from '../castore/directory-store.ts'
import type { Directory } from '../castore/model/directory.ts'
import type { Outboard } from '../castore/verified/outboard.ts'
import type { BuiltOutboard } from '../castore/verified/outboard-builder.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Digest } from '../foundation/digest.ts'
import { Semaphore } from '../foundation/semaphore.ts'
import { SingleFlight } from '../foundation/single-flight.ts'
import type { NarSource } from '../nar/render-nar.ts'
import type { ContentSource } from './content-source.ts'
import { MissMemory } from './miss-memory.ts'
import { OpenBlobs } from './open-blobs.ts'

/** How many blobs are fetched or opened at once for those who read through this. */
export const BLOBS_AT_ONCE = 32

/** What it is put together of. */
export interface SubstitutingCastoreComponents {
  /** What this node holds; all writing goes here, and what was fetched stays here. */
  readonly near: Castore
  readonly far: ContentSource
  readonly clock: Clock
}

/** Content to read from, of which only those parts are brought here that are read. */
export interface PartialContents extends NarSource {
  readonly blobs: Pick<BlobStore, 'layouts' | 'readChunks' | 'open'>
  readonly directories: DirectorySource
}

/**
 * A castore that asks elsewhere for what is not held. Before anybody is told of its chunks, a blob
 * is fetched whole, proven and kept: a client that leaves out what is there already must be able to
 * rely on it. Who opens a blob gets those parts that it reads, each proven; the blob is held once
 * it was read from end to end. Where nobody can prove parts of it, it is fetched whole first.
 *
 * What nobody has is remembered for a short while, so that a client that asks for each blob before
 * it puts it does not have the neighbours asked twice.
 */
export class SubstitutingCastore implements Castore {
  readonly blobs: BlobStore
  readonly directories: DirectoryStore
  /**
   * The same to read ranges from: its blobs are looked up by the thousand here, and only what is
   * not held is opened elsewhere, as far as it is wanted.
   */
  readonly contents: PartialContents
  readonly #near: Castore
  readonly #misses: MissMemory

  constructor(components: SubstitutingCastoreComponents, init: { missMs?: number } = {}) {
    this.#near = components.near
    this.#misses = new MissMemory(components, init)
    this.blobs = new SubstitutingBlobs(components, this.#misses)
    this.directories = new SubstitutingDirectories(components, this.#misses)
    this.contents = {
      directories: this.directories,
      blobs: {
        layouts: (digests, call) => this.#near.blobs.layouts(digests, call),
        readChunks: (digests, call) => this.#near.blobs.readChunks(digests, call),
        open: (digest, call, size) => this.blobs.open(digest, call, size),
      },
    }
  }

  async sync(call: Call): Promise<void> {
    await this.#near.sync(call)
  }

  /** Someone new may have what nobody had before. */
  forgetMisses(): void {
    this.#misses.forgetAll()
  }
}

class SubstitutingBlobs implements BlobStore {
  readonly #components: SubstitutingCastoreComponents
  readonly #misses: MissMemory
  readonly #fetching = new SingleFlight<boolean>()
  readonly #opening = new SingleFlight<BlobReader | undefined>()
  readonly #opened: OpenBlobs
  readonly #room = new Semaphore(BLOBS_AT_ONCE)

  constructor(components: SubstitutingCastoreComponents, misses: MissMemory) {
    this.#components = components
    this.#misses = misses
    this.#opened = new OpenBlobs(components)
  }

  async layouts(
    digests: readonly Digest[],
    call: Call,
  ): Promise<(readonly ChunkRef[] | undefined)[]> {
    const near = this.#components.near.blobs
    return await this.#filled(digests, (wanted) => near.layouts(wanted, call), call)
  }

  async readChunks(digests: readonly Digest[], call: Call): Promise<(Uint8Array | undefined)[]> {
    const near = this.#components.near.blobs
    return await this.#filled(digests, (wanted) => near.readChunks(wanted, call), call)
  }

  async chunkSizes(digests: readonly Digest[], call: Call): Promise<(number | undefined)[]> {
    const near = this.#components.near.blobs
    return await this.#filled(digests, (wanted) => near.chunkSizes(wanted, call), call)
  }

  async outboard(digest: Digest, call: Call): Promise<Outboard | undefined> {
    const [layout] = await this.layouts([digest], call)
    if (layout === undefined) return undefined
    return await this.#components.near.blobs.outboard(digest, call)
  }

  async open(digest: Digest, call: Call, size?: number): Promise<BlobReader | undefined> {
    const near = this.#components.near.blobs
    const held = await near.open(digest, call)
    if (held !== undefined) return held
    if (this.#misses.has(blobKey(digest))) return undefined
    const blob = { digest, size }
    const opened = await this.#openElsewhere(blob, call)
    if (opened !== undefined) return opened
    return (await this.#fetch(blob, call)) ? await near.open(digest, call) : undefined
  }

  create(onStored?: (chunk: ChunkRef) => void): BlobWriter {
    return this.#components.near.blobs.create(onStored)
  }

  async putSmall(contents: readonly Uint8Array[], call: Call): Promise<Digest[]> {
    return await this.#components.near.blobs.putSmall(contents, call)
  }

  async putChunks(
    chunks: readonly { digest: Digest; bytes: Uint8Array }[],
    call: Call,
  ): Promise<void> {
    await this.#components.near.blobs.putChunks(chunks, call)
  }

  async assemble(
    digest: Digest,
    layout: readonly ChunkRef[],
    call: Call,
    hashed?: BuiltOutboard,
  ): Promise<void> {
    await this.#components.near.blobs.assemble(digest, layout, call, hashed)
  }

  /** What `look` finds here, once what it lacks has been fetched: a chunk is a blob, too. */
  async #filled<T>(
    digests: readonly Digest[],
    look: (digests: readonly Digest[]) => Promise<(T | undefined)[]>,
    call: Call,
  ): Promise<(T | undefined)[]> {
    const found = await look(digests)
    const missing = digests.flatMap((_, i) => (found[i] === undefined ? [i] : []))
    if (missing.length === 0) return found
    const fetched = await Promise.all(
      missing.map((i) => this.#fetch({ digest: digests[i]! }, call)),
    )
    const came = missing.filter((_, at) => fetched[at])
    const again = await look(came.map((i) => digests[i]!))
    for (const [at, i] of came.entries()) found[i] = again[at]
    return found
  }

  /** Opens a blob to read parts of it; undefined where parts can not be proven, or are no less. */
  async #openElsewhere(blob: NamedBlob, call: Call): Promise<BlobReader | undefined> {
    if (blob.size !== undefined && blob.size <= CHUNK_BYTES_MIN) return undefined
    // Its length is proven only to whoever did not bring it along.
    const key = `${blobKey(blob.digest)} ${blob.size ?? 'proven'}`
    const known = this.#opened.get(key)
    if (known !== undefined) return known
    const { near, far } = this.#components
    const work = async (shared: Call): Promise<BlobReader | undefined> => {
      using _room = await this.#room.acquire(1, shared)
      const reader = await far.openBlob(blob, near, shared)
      return reader === undefined ? undefined : this.#opened.put(key, reader)
    }
    return await this.#opening.run(key, work, call)
  }

  /** Brings a blob here; false where nobody has it. */
  async #fetch(blob: NamedBlob, call: Call): Promise<boolean> {
    const key = blobKey(blob.digest)
    if (this.#misses.has(key)) return false
    const { near, far } = this.#components
    const work = async (shared: Call): Promise<boolean> => {
      using _room = await this.#room.acquire(1, shared)
      const came = await far.fetchBlob(blob, near, shared)
      if (!came) this.#misses.remember(key)
      return came
    }
    return await this.#fetching.run(key, work, call)
  }
}

class SubstitutingDirectories implements DirectoryStore {
  readonly #components: SubstitutingCastoreComponents
  readonly #misses: MissMemory
  readonly #fetching = new SingleFlight<boolean>()

  constructor(components: SubstitutingCastoreComponents, misses: MissMemory) {
    this.#components = components
    this.#misses = misses
  }

  async get(digest: Digest, call: Call): Promise<Directory | undefined> {
    const near = this.#components.near.directories
    const held = await near.get(digest, call)
    if (held !== undefined) return held
    return (await this.#fetch(digest, call)) ? await near.get(digest, call) : undefined
  }

  async *closure(root: Digest, call: Call): AsyncGenerator<Directory> {
    // A Directory is put after all that it refers to: where the root is here, the rest is.
    if ((await this.get(root, call)) === undefined) return
    yield* this.#components.near.directories.closure(root, call)
  }

  async put(directories: readonly Directory[], call: Call): Promise<void> {
    await this.#components.near.directories.put(directories, call)
  }

  async #fetch(root: Digest, call: Call): Promise<boolean> {
    const key = `directory ${root.hex}`
    if (this.#misses.has(key)) return false
    const { near, far } = this.#components
    const work = async (shared: Call): Promise<boolean> => {
      const came = await far.fetchDirectories(root, near, shared)
      if (!came) this.#misses.remember(key)
      return came
    }
    return await this.#fetching.run(key, work, call)
  }
}

function blobKey(digest: Digest): string {
  return `blob ${digest.hex}`
}
