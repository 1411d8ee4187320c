import { type BlobReader, blobBytes, type NamedBlob } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import { leavesFirst } from '../castore/leaves-first.ts'
import { FileNode } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { withDeadline } from '../foundation/clock.ts'
import type { Digest } from '../foundation/digest.ts'
import type { ContentSource } from '../substitution/content-source.ts'
import { FetchProgress } from '../substitution/fetch-progress.ts'
import { SubstitutionError } from '../substitution/substitution-error.ts'
import type { AnswerItem } from './exchange/exchange-session.ts'
import { Neighbours } from './neighbours.ts'
import { NEIGHBOUR_MS_MAX } from './patience.ts'
import { PeerError, peerError } from './peer-error.ts'
import type { PeerNetwork } from './peer-network.ts'
import { fetchContent } from './swarm/content-fetch.ts'
import type { ContentFetchComponents } from './swarm/content-fetch-components.ts'
import { fetchDirectories } from './swarm/directory-fetch.ts'
import { HolderSet } from './swarm/holder-set.ts'
import { openProven } from './swarm/proven-blob-reader.ts'

/**
 * Length of the longest blob that is fetched by its digest alone, in bytes. Nothing but the whole
 * proves how long it is, so that a liar could make it as long as it likes.
 */
export const UNSIZED_BLOB_BYTES_MAX = 64 * 1024 ** 3

/** About how many bytes the answer about one blob has, for the cap on what is in flight. */
const ANSWER_BYTES = 4096

/** What the source works with. */
export interface PeerContentSourceComponents extends ContentFetchComponents {
  readonly network: PeerNetwork
}

/**
 * Content from connected neighbours, by digest alone. The DHT is not asked: clients that put
 * content ask for each blob first, and would wait for a search each time.
 */
export class PeerContentSource implements ContentSource {
  readonly name = 'neighbours'
  readonly #components: PeerContentSourceComponents

  constructor(components: PeerContentSourceComponents) {
    this.#components = components
  }

  async fetchBlob(blob: NamedBlob, into: Castore, call: Call): Promise<boolean> {
    const { digest } = blob
    const components = { ...this.#components, castore: into }
    const sizes: readonly [number, HolderSet][] =
      blob.size === undefined
        ? await this.#sizesSaid(digest, call)
        : [[blob.size, new HolderSet(this.#neighbours())]]
    for (const [size, holders] of sizes) {
      try {
        const node = new FileNode(digest, size, false)
        await fetchContent(node, holders, components, new FetchProgress(), call)
        return true
      } catch (error) {
        call.signal.throwIfAborted()
        if (!(error instanceof PeerError)) throw error
        this.#components.log.debug('blob could not be had', { digest, size, error })
      }
    }
    return false
  }

  async openBlob(blob: NamedBlob, into: Castore, call: Call): Promise<BlobReader | undefined> {
    const components = { ...this.#components, castore: into }
    const reader = await openProven(blob, this.#neighbours(), components, call)
    return reader === undefined ? undefined : new NeighboursBlob(blob.digest, reader)
  }

  async fetchDirectories(root: Digest, into: Castore, call: Call): Promise<boolean> {
    const components = { ...this.#components, castore: into }
    const holders = new HolderSet(this.#neighbours())
    try {
      const directories = await fetchDirectories(root, holders, components, call)
      await into.directories.put(leavesFirst(directories), call)
      return true
    } catch (error) {
      call.signal.throwIfAborted()
      if (!(error instanceof PeerError)) throw error
      return false
    }
  }

  /** Who has a blob, by how long they say that it is; what most of them say comes first. */
  async #sizesSaid(digest: Digest, call: Call): Promise<[number, HolderSet][]> {
    const { clock, log } = this.#components
    const said = new Map<number, HolderSet>()
    const ask = async (peer: string): Promise<void> => {
      try {
        const size = await withDeadline(
          clock,
          NEIGHBOUR_MS_MAX,
          'asking a neighbour',
          call,
          (timed) => this.#sizeSaid(peer, digest, timed),
        )
        if (size === undefined) return
        const holders = said.get(size) ?? new HolderSet()
        said.set(size, holders)
        holders.add(peer)
      } catch (error) {
        call.signal.throwIfAborted()
        log.debug('peer could not say', { peer, error })
      }
    }
    await Promise.all([...this.#neighbours()].map(ask))
    return [...said].sort(([, a], [, b]) => b.size - a.size)
  }

  async #sizeSaid(peer: string, digest: Digest, call: Call): Promise<number | undefined> {
    let size: number | undefined
    const onAnswer = (answer: AnswerItem): void => {
      if (answer.type === 'absent') return
      if (answer.type !== 'layout' || answer.index !== 0 || size !== undefined) {
        throw peerError({ code: 'protocol-broken', peer, what: 'no chunk list of the blob' })
      }
      const { layout } = answer
      size = blobBytes(layout)
      const isPlausible =
        size > 0 && // the empty blob is everywhere, nobody asks for it
        size <= UNSIZED_BLOB_BYTES_MAX &&
        layout.length <= Math.ceil(size / CHUNK_BYTES_MIN)
      if (!isPlausible) throw peerError({ code: 'content-corrupt', peer, digest: digest.hex })
    }
    const want = { type: 'layouts', digests: [digest] } as const
    await this.#components.client.ask(peer, { want, bytes: ANSWER_BYTES, onAnswer }, call)
    return size
  }

  #neighbours(): Neighbours {
    return new Neighbours(this.#components)
  }
}

/** A blob that neighbours have; that they do not have it any more is told as who reads it knows. */
class NeighboursBlob implements BlobReader {
  readonly size: number
  readonly #digest: Digest
  readonly #reader: BlobReader

  constructor(digest: Digest, reader: BlobReader) {
    this.size = reader.size
    this.#digest = digest
    this.#reader = reader
  }

  async *read(offset: number, call: Call, length?: number): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#reader.read(offset, call, length)
    } catch (cause) {
      if (!(cause instanceof PeerError)) throw cause
      const what = `blob ${this.#digest}`
      const fault = { code: 'content-missing', what } as const
      const words = `${what} can not be read any further: ${cause.message}`
      throw new SubstitutionError(fault, words, { cause })
    }
  }
}
