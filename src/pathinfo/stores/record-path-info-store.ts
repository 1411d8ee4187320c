import type { RecordStore } from '../../castore/record-store.ts'
import type { Call } from '../../foundation/call.ts'
import { unlessAborted } from '../../foundation/single-flight.ts'
import type { PathInfo } from '../path-info.ts'
import { decodePathInfo, encodePathInfo } from '../path-info-codec.ts'
import type { LocalPathInfoStore, StoreEvent } from '../path-info-store.ts'
import type { FinalClaim } from '../trust-policy.ts'

/** How many events wait for one reader before it is told that it missed some. */
export const BACKLOG_EVENTS_MAX = 16_384

/** How many PathInfos one reading of the list takes at once. */
const LIST_BATCH = 256

interface Watcher {
  events: StoreEvent[]
  wake: () => void
}

/** PathInfos as records under the hash parts of their store paths. */
export class RecordPathInfoStore implements LocalPathInfoStore {
  readonly #records: RecordStore
  readonly #watchers = new Set<Watcher>()

  constructor(components: { records: RecordStore }) {
    this.#records = components.records
  }

  async get(hash: Uint8Array, call: Call): Promise<PathInfo | undefined> {
    const [encoded] = await this.#records.get('path-info', [hash], call)
    return encoded === undefined ? undefined : decodePathInfo(encoded)
  }

  async put(claims: readonly FinalClaim[], call: Call): Promise<void> {
    const records = claims.map(({ pathInfo }) => ({
      key: pathInfo.storePath.hash,
      bytes: encodePathInfo(pathInfo),
    }))
    await this.#records.put('path-info', records, call)
    await this.#records.sync(call)
    for (const { pathInfo } of claims) this.#tell({ type: 'put', pathInfo })
  }

  async *list(call: Call): AsyncGenerator<PathInfo> {
    let batch: Uint8Array[] = []
    for await (const key of this.#records.keys('path-info', call)) {
      batch.push(key)
      if (batch.length < LIST_BATCH) continue
      yield* await this.#read(batch, call)
      batch = []
    }
    yield* await this.#read(batch, call)
  }

  changes(call: Call): AsyncIterable<StoreEvent> {
    // Watches from the call on, not from the first event asked for, so that nothing falls between
    // a snapshot that is taken meanwhile and the events.
    const watcher: Watcher = { events: [], wake: () => undefined }
    this.#watchers.add(watcher)
    return this.#follow(watcher, call)
  }

  hashes(call: Call): AsyncIterable<Uint8Array> {
    return this.#records.keys('path-info', call)
  }

  async remove(hashes: readonly Uint8Array[], call: Call): Promise<void> {
    const names = hashes.map((key) => ({ kind: 'path-info', key }) as const)
    await this.#records.remove(names, call)
    await this.#records.sync(call)
    for (const hash of hashes) this.#tell({ type: 'removed', hash })
  }

  count(): number {
    return this.#records.totals('path-info').records
  }

  async #read(keys: readonly Uint8Array[], call: Call): Promise<PathInfo[]> {
    const records = await this.#records.get('path-info', keys, call)
    return records.flatMap((encoded) => (encoded === undefined ? [] : [decodePathInfo(encoded)]))
  }

  async *#follow(watcher: Watcher, call: Call): AsyncGenerator<StoreEvent> {
    try {
      for (;;) {
        const events = watcher.events
        watcher.events = []
        yield* events
        if (watcher.events.length > 0) continue
        const { promise, resolve } = Promise.withResolvers<void>()
        watcher.wake = resolve
        await unlessAborted(promise, call.signal)
      }
    } finally {
      this.#watchers.delete(watcher)
    }
  }

  #tell(event: StoreEvent): void {
    for (const watcher of this.#watchers) {
      if (watcher.events.length < BACKLOG_EVENTS_MAX) watcher.events.push(event)
      else if (watcher.events.at(-1)?.type !== 'missed') watcher.events.push({ type: 'missed' })
      watcher.wake()
    }
  }
}
