import type { Castore } from '../castore/castore.ts'
import type { Call } from '../foundation/call.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import type { NamedDocumentStore } from '../pathinfo/named-document-store.ts'
import type { PathInfo } from '../pathinfo/path-info.ts'
import type { LocalPathInfoStore, StoreEvent } from '../pathinfo/path-info-store.ts'
import { debugInfoOf } from './debug-info.ts'
import { narUrl } from './nar-url.ts'

interface IndexComponents {
  readonly castore: Castore
  readonly documents: NamedDocumentStore
  readonly pathInfos: LocalPathInfoStore
  readonly log: Log
}

/**
 * Lets debuggers find the debug info in every path that comes here, from whoever it comes: what is
 * asked for as `debuginfo/<build ID>` says in which NAR it is, as Nix's index-debug-info writes it.
 */
export class DebugInfoIndex implements Service {
  readonly name = 'debug info'
  readonly #components: IndexComponents
  readonly #stopping = new AbortController()
  #following: Promise<void> | undefined

  constructor(components: IndexComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    const changes = this.#components.pathInfos.changes(this.#stopping)
    this.#following = this.#follow(changes).catch((error) => {
      if (!this.#stopping.signal.aborted) {
        this.#components.log.error('debug info is not indexed any more', { error })
      }
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the gateway stops'))
    await this.#following
  }

  async #follow(changes: AsyncIterable<StoreEvent>): Promise<void> {
    const { pathInfos } = this.#components
    for await (const event of changes) {
      if (event.type === 'put') await this.#tryAdd(event.pathInfo)
      else for await (const it of pathInfos.list(this.#stopping)) await this.#tryAdd(it)
    }
  }

  async #tryAdd(pathInfo: PathInfo): Promise<void> {
    const { storePath } = pathInfo
    try {
      await this.add(pathInfo, this.#stopping)
    } catch (error) {
      this.#stopping.signal.throwIfAborted()
      this.#components.log.warn('debug info could not be indexed', { storePath, error })
    }
  }

  /** Adds what is in one path. */
  async add(pathInfo: PathInfo, call: Call): Promise<void> {
    const { castore, documents } = this.#components
    const links = await debugInfoOf(pathInfo.node, castore.directories, call)
    const archive = `../${narUrl(pathInfo)}`
    for (const { buildId, member } of links) {
      const text = Buffer.from(JSON.stringify({ archive, member }))
      await documents.putSmall('debuginfo', buildId, text, call)
    }
  }
}
