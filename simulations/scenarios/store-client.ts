import type { Castore } from '../../src/castore/castore.ts'
import { CastoreError } from '../../src/castore/castore-error.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import type { SegmentRecordStore } from '../../src/castore/stores/segment-record-store.ts'
import { blake3 } from '../../src/foundation/blake3.ts'
import { unhurriedCall } from '../../src/foundation/call.ts'
import type { Random } from '../../src/foundation/random.ts'
import type { Semaphore } from '../../src/foundation/semaphore.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import { encodePathInfo } from '../../src/pathinfo/path-info-codec.ts'
import type { CollectionComponents } from '../../src/retention/collection.ts'
import { collect } from '../../src/retention/collection.ts'
import { compactStore } from '../../src/retention/compaction.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../../test/fixtures/claims.ts'
import { noise } from '../../test/fixtures/content.ts'
import { directory, file, narOf, type Tree } from '../../test/nar/trees.ts'
import type { Acknowledged } from '../checkers/acknowledged.ts'
import { DiskError } from '../world/faulty-disk.ts'

/** How many names of a kind each client has. */
const NAMES = 4

const call = unhurriedCall()

/** What a client works with. */
export interface ClientComponents {
  readonly store: SegmentRecordStore
  readonly collection: CollectionComponents
  readonly model: Acknowledged
  readonly random: Random
  /** Held by who keeps the store in order: one at a time does, as the janitor sees to. */
  readonly upkeep: Semaphore
  /** Whether the machine has stopped. */
  isOff(): boolean
  /** Whether what is there has to read well: not where the disk has dropped what was unsynced. */
  isReadable(): boolean
}

/** One that does this and that with a store, one after the other, and tells the model. */
export class StoreClient {
  readonly #parts: ClientComponents
  readonly #castore: Castore
  readonly #name: string
  readonly #isCollecting: boolean
  #unsyncedChunks: { key: Buffer; bytes: Buffer }[] = []

  constructor(components: ClientComponents, init: { name: string; isCollecting: boolean }) {
    this.#parts = components
    this.#castore = recordCastore({ records: components.store })
    this.#name = init.name
    this.#isCollecting = init.isCollecting
  }

  /** Does so many things, or fewer where the machine stops. */
  async run(operations: number): Promise<void> {
    const { isOff, model, random } = this.#parts
    for (let i = 0; i < operations && !isOff(); i++) {
      try {
        await this.#act(random.integer(100))
      } catch (error) {
        const isToBeExpected = error instanceof DiskError || error instanceof CastoreError
        if (!isToBeExpected) model.violated(`an error of no known kind: ${stackOf(error)}`)
      }
    }
  }

  async #act(dice: number): Promise<void> {
    if (dice < 25) return this.#putPath()
    if (dice < 33) return this.#removePath()
    if (dice < 41) return this.#readPath()
    if (dice < 56) return this.#putChoices()
    if (dice < 64) return this.#removeChoices()
    if (dice < 72) return this.#readChoice()
    if (dice < 82) return this.#sync()
    if (dice < 92) return this.#putChunks()
    if (dice < 96) return this.#compact()
    return this.#collect()
  }

  async #putPath(): Promise<void> {
    const { collection, model, random } = this.#parts
    const name = this.#pathName()
    const nar = narOf(treeOf(random))
    using _lease = collection.leases.begin()
    const ingested = await ingestNar(once(nar), this.#castore, call)
    const pathInfo = pathInfoOf(name, { ...ingested, references: [] })
    const key = Buffer.from(pathInfo.storePath.hash)
    const value = Buffer.from(encodePathInfo(pathInfo))
    let isDone = false
    try {
      await collection.pathInfos.put([ownClaim(pathInfo)], call)
      isDone = true
    } finally {
      model.changed('path-info', key, value, isDone)
      if (isDone) model.settled('path-info', [key])
    }
  }

  async #removePath(): Promise<void> {
    const { collection, model } = this.#parts
    const key = Buffer.from(pathNamed(this.#pathName()).hash)
    let isDone = false
    try {
      await collection.pathInfos.remove([key], call)
      isDone = true
    } finally {
      model.changed('path-info', key, undefined, isDone)
      if (isDone) model.settled('path-info', [key])
    }
  }

  async #readPath(): Promise<void> {
    const { collection, model, isReadable } = this.#parts
    const name = this.#pathName()
    const key = Buffer.from(pathNamed(name).hash)
    if (!model.isCertain('path-info', key)) return
    using _lease = collection.leases.begin()
    const pathInfo = await collection.pathInfos.get(key, call)
    const value = pathInfo === undefined ? undefined : Buffer.from(encodePathInfo(pathInfo))
    if (!isReadable()) return
    model.found('path-info', key, value, false)
    if (pathInfo === undefined) return
    try {
      const { narSize } = await measureNar(pathInfo.node, this.#castore, call)
      if (narSize !== pathInfo.narSize) model.violated(`${name} is of another size`)
    } catch (error) {
      if (isReadable() && !isOfDisk(error))
        model.violated(`${name} can not be read: ${stackOf(error)}`)
    }
  }

  async #putChoices(): Promise<void> {
    const { store, model, random } = this.#parts
    const records = Array.from({ length: 1 + random.integer(4) }, () => ({
      key: this.#choiceKey(),
      bytes: noise(1 + random.integer(2000), `${random.integer(2 ** 31)}`),
    }))
    let isDone = false
    try {
      await store.put('share-choice', records, call)
      isDone = true
    } finally {
      for (const { key, bytes } of records) model.changed('share-choice', key, bytes, isDone)
    }
    if (random.integer(2) === 0) await this.#sync()
  }

  async #removeChoices(): Promise<void> {
    const { store, model, random } = this.#parts
    const keys = Array.from({ length: 1 + random.integer(2) }, () => this.#choiceKey())
    let isDone = false
    try {
      const names = keys.map((key) => ({ kind: 'share-choice', key }) as const)
      await store.remove(names, call)
      isDone = true
    } finally {
      for (const key of keys) model.changed('share-choice', key, undefined, isDone)
    }
    if (random.integer(2) === 0) await this.#sync()
  }

  async #readChoice(): Promise<void> {
    const { store, model, isReadable } = this.#parts
    const key = this.#choiceKey()
    if (!model.isCertain('share-choice', key)) return
    try {
      const [bytes] = await store.get('share-choice', [key], call)
      const value = bytes === undefined ? undefined : Buffer.from(bytes)
      if (isReadable()) model.found('share-choice', key, value, false)
    } catch (error) {
      if (isReadable() && !isOfDisk(error))
        model.violated(`a choice can not be read: ${stackOf(error)}`)
    }
  }

  async #putChunks(): Promise<void> {
    const { store, random } = this.#parts
    const chunks = Array.from({ length: 1 + random.integer(6) }, () => {
      const bytes = noise(random.integer(3000), `chunk ${random.integer(200)}`)
      return { key: Buffer.from(blake3(bytes)), bytes }
    })
    await store.put('chunk', chunks, call)
    this.#unsyncedChunks.push(...chunks)
  }

  async #sync(): Promise<void> {
    const { store, model } = this.#parts
    const chunks = this.#unsyncedChunks
    await store.sync(call)
    model.settled('share-choice', this.#choiceKeys())
    if (!this.#isCollecting) model.keptChunks(chunks)
    this.#unsyncedChunks = []
  }

  async #compact(): Promise<void> {
    const { store, collection, upkeep } = this.#parts
    using _turn = await upkeep.acquire(1, call)
    await compactStore({ keeper: store, log: collection.log }, { bytesMax: 0 }, call)
  }

  async #collect(): Promise<void> {
    if (!this.#isCollecting) return this.#sync()
    const { collection, upkeep } = this.#parts
    {
      using _turn = await upkeep.acquire(1, call)
      await collect(collection, { youngMs: 0 }, call)
    }
    await this.#compact()
  }

  #pathName(): string {
    return `${this.#name}-path-${this.#parts.random.integer(NAMES)}`
  }

  #choiceKey(): Buffer {
    return this.#choiceKeys()[this.#parts.random.integer(NAMES)]!
  }

  #choiceKeys(): Buffer[] {
    return Array.from({ length: NAMES }, (_, i) => noise(20, `${this.#name} choice ${i}`))
  }
}

/** A small tree of which other paths have much, too; now and then a file of several chunks. */
function treeOf(random: Random): Tree {
  const files = Array.from({ length: random.integer(5) }, (_, i) => {
    const seed = random.integer(40)
    const bytes = seed === 0 ? 400_000 : seed < 4 ? 40_000 : seed * 100
    return [`file-${i}`, file(noise(bytes, `file ${seed}`))] as const
  })
  const inner = { inner: directory(Object.fromEntries(files.slice(0, 2))) }
  return directory({ ...Object.fromEntries(files), ...(random.integer(2) === 0 ? inner : {}) })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Whether a read failed for what the disk did to it, and not for what is stored. */
function isOfDisk(error: unknown): boolean {
  if (error instanceof DiskError) return true
  return error instanceof Error && error.cause !== undefined && isOfDisk(error.cause)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? `${error.stack}` : String(error)
}
