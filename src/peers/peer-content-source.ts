import type { BlobReader } from '../castore/blob-store.ts'
import type { Castore } from '../castore/castore.ts'
import { CHUNK_BYTES_MIN } from '../castore/chunking/fast-cdc.ts'
import { FileNode } from '../castore/model/node.ts'
import type { Call } from '../foundation/call.ts'
import { withDeadline } from '../foundation/clock.ts'
import type { Digest } from '../foundation/digest.ts'
import type { ContentSource } from '../substitution/content-source.ts'
import { FetchProgress } from '../substitution/fetch-progress.ts'
import type { AnswerItem } from './exchange/exchange-session.ts'
import { PeerError, peerError } from './peer-error.ts'
import type { PeerNetwork } from './peer-network.ts'
import { NEIGHBOURS_MS } from './peer-source.ts'
import { fetchContent } from './swarm/content-fetch.ts'
import type { ContentFetchComponents } from './swarm/content-fetch-components.ts'
import { fetchDirectories, leavesFirst } from './swarm/directory-fetch.ts'
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

  async fetchBlob(digest: Digest, into: Castore, call: Call): Promise<boolean> {
    const components = { ...this.#components, castore: into }
    for (const [size, holders] of await this.#sizesSaid(digest, call)) {
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

  async openBlob(digest: Digest, into: Castore, call: Call): Promise<BlobReader | undefined> {
    const components = { ...this.#components, castore: into }
    return await openProven({ digest }, new HolderSet(this.#neighbours()), components, call)
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
        const size = await withDeadline(clock, NEIGHBOURS_MS, 'asking a neighbour', call, (timed) =>
          this.#sizeSaid(peer, digest, timed),
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
    await Promise.all(this.#neighbours().map(ask))
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
      size = layout.reduce((sum, chunk) => sum + chunk.size, 0)
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

  #neighbours(): string[] {
    const { network, ledger } = this.#components
    const ids = network.connected().map(({ id }) => id)
    return ids.filter((id) => ledger.standing(id) === 'welcome')
  }
}
