import type { RecordStore } from '../castore/record-store.ts'
import { type Call, unhurriedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Service } from '../foundation/service.ts'
import type { LocalPathInfoStore, StoreEvent } from '../pathinfo/path-info-store.ts'
import type { UseTracker } from '../substitution/use-tracker.ts'

/** How often what was used is written down, in milliseconds; a crash forgets as much. */
export const WRITE_DOWN_MS = 60_000

/** A path's use is written down again only when it is older than this. */
export const USE_STEP_MS = 600_000

/** How many uses are kept in mind until they are written down. */
export const USES_MAX = 65_536

/** What it works with. */
export interface PathUsesComponents {
  readonly records: RecordStore
  readonly pathInfos: Pick<LocalPathInfoStore, 'changes'>
  readonly clock: Clock
  readonly log: Log
}

/** Remembers when each path was last asked for; coming here is the first time. */
export class PathUses implements UseTracker, Service {
  readonly name = 'path uses'
  readonly #components: PathUsesComponents
  readonly #fresh = new Map<string, { readonly hash: Uint8Array; usedMs: number }>()
  readonly #stopping = new AbortController()
  #work: Promise<unknown> = Promise.resolve()

  constructor(components: PathUsesComponents) {
    this.#components = components
  }

  used(hash: Uint8Array): void {
    const key = keyOf(hash)
    const usedMs = this.#components.clock.now()
    const known = this.#fresh.get(key)
    if (known !== undefined) known.usedMs = usedMs
    else if (this.#fresh.size < USES_MAX) this.#fresh.set(key, { hash, usedMs })
  }

  /** When each of these was last used, in milliseconds since 1970; 0 where nobody knows. */
  async lastUses(hashes: readonly Uint8Array[], call: Call): Promise<number[]> {
    const kept = await this.#components.records.get('use', hashes, call)
    return hashes.map((hash, i) => {
      const fresh = this.#fresh.get(keyOf(hash))?.usedMs
      return fresh ?? decode(kept[i])
    })
  }

  async start(): Promise<void> {
    const call = { signal: this.#stopping.signal }
    const changes = this.#components.pathInfos.changes(call)
    this.#work = Promise.all([this.#follow(changes), this.#writeNowAndThen(call)])
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#work
    await this.writeDown(unhurriedCall())
  }

  async #follow(changes: AsyncIterable<StoreEvent>): Promise<void> {
    try {
      for await (const event of changes) {
        if (event.type === 'put') this.used(event.pathInfo.storePath.hash)
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) throw error
    }
  }

  async #writeNowAndThen(call: Call): Promise<void> {
    const { clock, log } = this.#components
    while (!call.signal.aborted) {
      await clock.sleep(WRITE_DOWN_MS, call).catch(() => undefined) // stopping
      if (call.signal.aborted) return
      await this.writeDown(call).catch((error) => log.warn('uses were not written down', { error }))
    }
  }

  /** Writes down what was used since the last time. */
  async writeDown(call: Call): Promise<void> {
    const { records } = this.#components
    const fresh = [...this.#fresh.values()]
    const known = await records.get(
      'use',
      fresh.map(({ hash }) => hash),
      call,
    )
    const changed = fresh.filter(({ usedMs }, i) => usedMs - decode(known[i]) >= USE_STEP_MS)
    const put = changed.map(({ hash, usedMs }) => ({ key: hash, bytes: encode(usedMs) }))
    if (put.length > 0) await records.put('use', put, call)
    for (const { hash, usedMs } of fresh) {
      if (this.#fresh.get(keyOf(hash))?.usedMs === usedMs) this.#fresh.delete(keyOf(hash))
    }
  }
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString('latin1')
}

function encode(usedMs: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(usedMs)
  return bytes
}

function decode(bytes: Uint8Array | undefined): number {
  return bytes?.length === 8 ? Buffer.from(bytes).readDoubleLE() : 0
}
