import type { Castore } from '../../castore/castore.ts'
import { type CopyListener, copyContent } from '../../castore/copy-content.ts'
import type { Node } from '../../castore/model/node.ts'
import type { Call } from '../../foundation/call.ts'
import type { PathInfo } from '../../pathinfo/path-info.ts'
import type { FetchProgress } from '../../substitution/fetch-progress.ts'
import type {
  ContentOffer,
  OfferFlaw,
  PathSource,
  RootOffer,
} from '../../substitution/path-source.ts'
import { remoteCastore } from './remote-castore.ts'
import type { RemoteChannel } from './remote-channel.ts'
import { RemotePathInfoStore } from './remote-path-info-store.ts'

/** A hash that no store path has, to find out whether anybody answers. */
const NOBODYS_HASH = new Uint8Array(20)

/** How a store is named and when it is asked. */
export interface RemotePathSourceInit {
  /** For people. */
  readonly name: string
  /** As Nix has it: a lower number is asked first. */
  readonly priority: number
}

/**
 * Paths from another store by its gRPC services: a tvix store, a snix store, or another node. Only
 * what is missing here crosses: Directories, and those chunks of blobs that are not held.
 */
export class RemotePathSource implements PathSource {
  readonly name: string
  readonly priority: number
  readonly #pathInfos: RemotePathInfoStore
  readonly #castore: Castore

  constructor(components: { channel: RemoteChannel }, init: RemotePathSourceInit) {
    this.name = init.name
    this.priority = init.priority
    this.#pathInfos = new RemotePathInfoStore(components)
    this.#castore = remoteCastore(components)
  }

  async *find(hash: Uint8Array, call: Call): AsyncGenerator<ContentOffer> {
    const pathInfo = await this.#pathInfos.get(hash, call)
    if (pathInfo !== undefined) yield this.#offer(pathInfo)
  }

  async probe(call: Call): Promise<void> {
    await this.#pathInfos.get(NOBODYS_HASH, call)
  }

  /** Whether its castore has a root, whatever paths it knows. */
  async findRoot(root: Node, _narSize: number, call: Call): Promise<RootOffer | undefined> {
    if (!(await this.#has(root, call))) return undefined
    return {
      fetch: async (into, { progress, onDirectories }, during) => {
        const listener = { ...this.#listener(progress), onDirectories }
        await copyContent(root, this.#castore, into, listener, during)
      },
    }
  }

  async #has(root: Node, call: Call): Promise<boolean> {
    const { blobs, directories } = this.#castore
    switch (root.type) {
      case 'symlink':
        return false
      case 'directory':
        return (await directories.get(root.digest, call)) !== undefined
      case 'file':
        return (await blobs.layouts([root.digest], call))[0] !== undefined
    }
  }

  #offer(pathInfo: PathInfo): ContentOffer {
    return {
      kind: 'content',
      claim: { pathInfo, origin: 'stranger' },
      fetch: (into, progress, call) =>
        copyContent(pathInfo.node, this.#castore, into, this.#listener(progress), call),
      turnDown: (_flaw: OfferFlaw) => undefined, // the next path may be right all the same
    }
  }

  #listener(progress: FetchProgress): CopyListener {
    return {
      onDirectory: () => {
        progress.directoriesFetched++
      },
      onTotals: (files, bytes) => {
        progress.restart()
        progress.filesTotal = files
        progress.bytesTotal = bytes
      },
      onBytes: (bytes, fetched) => {
        progress.bytesDone += bytes
        progress.bytesFetched += fetched
        if (fetched > 0) progress.peers.add(this.name)
      },
      onFiles: (files) => {
        progress.filesDone += files
      },
    }
  }
}
