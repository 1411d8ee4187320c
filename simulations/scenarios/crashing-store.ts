import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Leases } from '../../src/castore/leases.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../src/castore/stores/segment-record-store.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { type Random, seededRandom } from '../../src/foundation/random.ts'
import { Semaphore } from '../../src/foundation/semaphore.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { NamedDocumentStore } from '../../src/pathinfo/named-document-store.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { UploadedNarStore } from '../../src/pathinfo/uploaded-nar-store.ts'
import type { CollectionComponents } from '../../src/retention/collection.ts'
import { PathUses } from '../../src/retention/path-uses.ts'
import { Pins } from '../../src/retention/pins.ts'
import { temporaryDirectory } from '../../test/fixtures/temporary-directory.ts'
import { Acknowledged } from '../checkers/acknowledged.ts'
import { checkStore, namesOf } from '../checkers/store-checks.ts'
import type { FaultRates } from '../world/fault-dice.ts'
import { DiskError, FaultyDisk, type Stop } from '../world/faulty-disk.ts'
import { StoreClient } from './store-client.ts'

/** A world of its own: what happens in it follows from these. */
export interface StoreWorld {
  readonly seed: number
  /** How often the store is opened, used and stopped. */
  readonly lives: number
  readonly clients: number
  /** How much each client does in a life. */
  readonly operations: number
  readonly segmentBytes: number
  readonly faults: FaultRates
  /** Whether there are collections; where there are none, chunks stay that no path needs. */
  readonly isCollecting: boolean
}

/** What a world came to. */
export interface StoreFate {
  /** What was not as it has to be; empty where all is well. */
  readonly violations: readonly string[]
  readonly operations: number
  readonly stops: readonly string[]
}

/** The world of a seed. */
export function storeWorld(seed: number): StoreWorld {
  const random = seededRandom(seed)
  const some = (rate: number): number => (random.integer(2) === 0 ? random.integer(rate) : 0)
  return {
    seed,
    lives: 3 + random.integer(3),
    clients: 1 + random.integer(4),
    operations: 10 + random.integer(30),
    segmentBytes: 20_000 + random.integer(200_000),
    isCollecting: random.integer(3) > 0,
    faults: {
      open: some(20),
      read: some(10),
      write: some(60),
      'short-write': some(200),
      'no-space': some(60),
      truncate: some(300),
      sync: some(200),
      names: some(100),
      remove: some(100),
      slow: some(100),
    },
  }
}

/** How a seed is run again. */
export function replayOf(seed: number): string {
  return `seed ${seed}: npm run simulate -- --seed ${seed}`
}

/** Lets a store live and crash as the world says. */
export async function runCrashingStore(world: StoreWorld): Promise<StoreFate> {
  await using directory = await temporaryDirectory()
  const run = new CrashingStore(world, directory.path)
  return await run.run()
}

class CrashingStore {
  readonly #world: StoreWorld
  readonly #directory: string
  readonly #disk: FaultyDisk
  readonly #random: Random
  readonly #model = new Acknowledged()
  readonly #stops: string[] = []
  #copies = 0

  constructor(world: StoreWorld, directory: string) {
    this.#world = world
    this.#directory = join(directory, 'store')
    mkdirSync(this.#directory)
    mkdirSync(this.#copyAt(''))
    this.#disk = new FaultyDisk({ seed: world.seed, rates: world.faults })
    this.#random = seededRandom(world.seed * 3 + 7)
  }

  async run(): Promise<StoreFate> {
    const told = (error: unknown): void => this.#model.violated(`nobody took the error: ${error}`)
    process.on('unhandledRejection', told)
    try {
      for (let life = 0; life < this.#world.lives; life++) {
        const store = await this.#opened(life)
        if (store === undefined || this.#model.violations.length > 0) break
        await this.#live(store, life)
      }
      if (this.#model.violations.length === 0) await this.#rebuild()
      await new Promise(setImmediate)
    } catch (error) {
      this.#model.violated(`an error that nobody expected: ${stackOf(error)}`)
    } finally {
      process.off('unhandledRejection', told)
    }
    const { violations } = this.#model
    return { violations, operations: this.#disk.operations, stops: this.#stops }
  }

  /** Opens the store, with faults at first; without any it has to open, and have all. */
  async #opened(life: number): Promise<SegmentRecordStore | undefined> {
    const hasFaults = this.#random.integer(3) === 0
    const early = 1 + this.#random.integer(60)
    if (hasFaults) {
      this.#disk.hasFaults = true
      const how = this.#stopAfter(early)
      await this.#open().then(
        (store) => this.#closed(store),
        (error) => this.#expectDisk(error, 'opening'),
      )
      this.#restart(how, `early in life ${life}`)
    }
    this.#disk.hasFaults = false
    try {
      const store = await this.#open()
      await checkStore(store, this.#model)
      return store
    } catch (error) {
      this.#model.violated(`the store does not open: ${stackOf(error)}`)
      return undefined
    }
  }

  async #live(store: SegmentRecordStore, life: number): Promise<void> {
    const { clients, operations, isCollecting } = this.#world
    this.#disk.hasFaults = true
    const how = this.#stopAfter(20 + this.#random.integer(operations * clients * 12))
    const collection = collectionOf(store)
    const upkeep = new Semaphore(1)
    const all = Array.from({ length: clients }, (_, i) => {
      const random = seededRandom(this.#world.seed * 1000 + life * 10 + i)
      const parts = {
        store,
        collection,
        model: this.#model,
        random,
        upkeep,
        isOff: () => {
          if (random.integer(20) === 0) this.#copyIndex()
          return this.#disk.isOff
        },
        isReadable: () => !this.#disk.hasLost,
      }
      return new StoreClient(parts, { name: `client-${i}`, isCollecting })
    })
    await Promise.all(all.map((client) => client.run(operations)))
    await this.#closed(store)
    this.#restart(how, `in life ${life}`)
  }

  /** At the end all is there again with the index made anew, and nothing more. */
  async #rebuild(): Promise<void> {
    this.#disk.hasFaults = false
    const names = await this.#reopened()
    rmSync(join(this.#directory, 'index'), { recursive: true })
    const anew = await this.#reopened()
    for (const [kind, keys] of names) {
      const others = new Set(anew.get(kind))
      const lost = keys.filter((key) => !others.delete(key))
      if (lost.length > 0) this.#model.violated(`${lost.length} ${kind} lost with the index`)
      if (others.size > 0) this.#model.violated(`${others.size} ${kind} back without the index`)
    }
  }

  async #reopened(): ReturnType<typeof namesOf> {
    const store = await this.#open()
    try {
      await checkStore(store, this.#model)
      return await namesOf(store)
    } finally {
      await store.close()
    }
  }

  #open(): Promise<SegmentRecordStore> {
    const { segmentBytes } = this.#world
    const components = { directory: this.#directory, log: silentLog, disk: this.#disk }
    const init = { segmentBytes, unsyncedBytesMax: segmentBytes }
    return SegmentRecordStore.open(components, init)
  }

  async #closed(store: SegmentRecordStore): Promise<void> {
    await store.close().catch((error) => this.#expectDisk(error, 'closing'))
  }

  /** Has everything stop after so many operations, or when the store is closed before that. */
  #stopAfter(operations: number): Stop {
    const how = this.#random.integer(3) === 0 ? 'kill' : 'power-cut'
    rmSync(this.#copyAt('last'), { recursive: true, force: true })
    this.#disk.stopAfter(operations, () => this.#copyIndex('last'))
    return how
  }

  #restart(how: Stop, when: string): void {
    const wasOff = this.#disk.isOff
    this.#disk.restart(how)
    const index = join(this.#directory, 'index')
    // What the old life did to it after the machine had stopped never happened.
    if (wasOff && existsSync(this.#copyAt('last'))) this.#takeIndex('last')
    const fate = how === 'kill' ? 0 : this.#random.integer(10)
    if (fate >= 5 && fate < 7 && this.#copies > 0) {
      this.#takeIndex(`${this.#random.integer(this.#copies)}`)
    } else if (fate === 7) rmSync(index, { recursive: true, force: true })
    else if (fate > 7) tearIndex(index, this.#random)
    this.#stops.push(`${how} ${when}${wasOff ? '' : ', closed'}, index ${fate}`)
  }

  #expectDisk(error: unknown, when: string): void {
    if (error instanceof DiskError || this.#isOfStore(error)) return
    this.#model.violated(`an error of no known kind when ${when}: ${stackOf(error)}`)
  }

  #isOfStore(error: unknown): boolean {
    return error instanceof Error && error.name === 'CastoreError'
  }

  #copyIndex(name?: string): void {
    const index = join(this.#directory, 'index')
    if (!existsSync(index)) return
    const copy = this.#copyAt(name ?? `${this.#copies++}`)
    for (;;) {
      try {
        cpSync(index, copy, { recursive: true })
        return
      } catch {
        rmSync(copy, { recursive: true, force: true }) // Level removed one of its files meanwhile
      }
    }
  }

  #takeIndex(name: string): void {
    const index = join(this.#directory, 'index')
    rmSync(index, { recursive: true, force: true })
    cpSync(this.#copyAt(name), index, { recursive: true })
  }

  #copyAt(name: string): string {
    return join(this.#directory, '..', 'copies', name)
  }
}

/** Loses a part of what Level wrote last: its end, or what is before that. */
function tearIndex(index: string, random: Random): void {
  if (!existsSync(index)) return
  for (const name of readdirSync(index).filter((it) => it.endsWith('.log'))) {
    const path = join(index, name)
    const bytes = readFileSync(path)
    const at = random.integer(bytes.length + 1)
    if (random.integer(2) === 0) writeFileSync(path, bytes.subarray(0, at))
    else writeFileSync(path, bytes.fill(0, at, Math.min(bytes.length, at + 4096)))
  }
}

function collectionOf(records: SegmentRecordStore): CollectionComponents {
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const clock = systemClock
  return {
    keeper: records,
    pathInfos,
    uploads: new UploadedNarStore({ records }),
    documents: new NamedDocumentStore({ records, castore }),
    uses: new PathUses({ records, pathInfos, clock, log: silentLog }),
    pins: new Pins({ records, pathInfos, clock }),
    leases: new Leases(),
    clock,
    log: silentLog,
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? `${error.stack}` : String(error)
}
