import type { RecordStore } from '../castore/record-store.ts'
import { utf8Bytes, utf8Text } from '../foundation/bytes.ts'
import type { Call } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { StorePath } from '../nix/store-path.ts'
import type { PathInfoSource } from '../pathinfo/path-info-store.ts'
import { RetentionError } from './retention-error.ts'

/** A path that is to be kept, with all that it refers to. */
export interface Pin {
  readonly storePath: string
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number
}

/** What the owner wants to be kept, however long nobody asks for it. */
export class Pins {
  readonly #components: {
    readonly records: RecordStore
    readonly pathInfos: PathInfoSource
    readonly clock: Clock
  }

  constructor(components: {
    readonly records: RecordStore
    readonly pathInfos: PathInfoSource
    readonly clock: Clock
  }) {
    this.#components = components
  }

  /** Pins paths, all or none. @throws RetentionError where one is not held */
  async pin(paths: readonly StorePath[], call: Call): Promise<void> {
    const { records, pathInfos, clock } = this.#components
    for (const path of paths) {
      if ((await pathInfos.get(path.hash, call)) !== undefined) continue
      const what = `${path} is not held here; \`cairn fetch\` brings it`
      throw new RetentionError({ code: 'not-held', storePath: path.toString() }, what)
    }
    const put = paths.map((path) => {
      const pin: Pin = { storePath: path.toString(), sinceMs: clock.now() }
      return { key: path.hash, bytes: utf8Bytes(JSON.stringify(pin)) }
    })
    await records.put('pin', put, call)
    await records.sync(call)
  }

  /** Takes pins back, all or none. @throws RetentionError where there is none */
  async unpin(paths: readonly StorePath[], call: Call): Promise<void> {
    const { records } = this.#components
    const names = paths.map(({ hash }) => ({ kind: 'pin', key: hash }) as const)
    const known = await records.sizes(
      'pin',
      names.map(({ key }) => key),
      call,
    )
    const missing = paths.find((_, i) => known[i] === undefined)
    if (missing !== undefined) {
      const what = `${missing} is not pinned; \`cairn pins\` says what is`
      throw new RetentionError({ code: 'not-pinned', storePath: missing.toString() }, what)
    }
    await records.remove(names, call)
    await records.sync(call)
  }

  /** All pins, in the order of the hash parts. */
  async *list(call: Call): AsyncGenerator<Pin> {
    const { records } = this.#components
    for await (const key of records.keys('pin', call)) {
      const [bytes] = await records.get('pin', [key], call)
      if (bytes !== undefined) yield JSON.parse(utf8Text(bytes) ?? '') as Pin
    }
  }
}
