import { createHash, randomBytes } from 'node:crypto'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { BaseDatastore } from 'datastore-core'
import type { LevelDatastore } from 'datastore-level'
import { type Batch, Key, type KeyQuery, type Pair, type Query } from 'interface-datastore'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'

/** For how long a provider record counts that is not said again, in milliseconds. */
export const RECORD_MS = 48 * 3_600_000

/** How many provider records are kept, of about 150 bytes on the disk each. */
export const RECORDS_MAX = 4_000_000

/** How many provider records are kept of one peer: as many as a node has keys to announce. */
export const RECORDS_PER_PEER_MAX = 2 ** 20

/** How many providers are told of for one key. */
export const PROVIDERS_TOLD_MAX = 64

/** How many records of one key are looked at, when they are asked for. */
const RECORDS_READ_MAX = 1_024

/** How many records are looked at to find one that gives way to a new one. */
const GIVING_WAY_MAX = 64

/** For how long records wait for others, to be written together with them, in milliseconds. */
const WRITE_MS = 100

/** How many records wait at the most. */
const WAITING_MAX = 1_024

/** Peers are counted by a hash with so many values, so that no flood of names takes memory. */
const COUNTERS = 2 ** 16

/** Where kad-dht keeps provider records: each key is this, a key's multihash and the provider. */
const PREFIX = '/dht/provider'

/** What it works with. */
export interface ProviderRecordsComponents {
  readonly store: LevelDatastore
  readonly clock: Clock
  readonly log: Log
  /** The node itself: what it announces is not for Kademlia to say again. */
  readonly self: string
  /** Whether it is known where a peer is. kad-dht answers nothing at all if one is unknown. */
  readonly isKnown: (peer: string) => Promise<boolean>
}

/** How many records there may be. */
export interface ProviderRecordsInit {
  /** In all; by default {@link RECORDS_MAX}, so that strangers can not fill the disk. */
  readonly recordsMax?: number
  /** Of one peer; by default {@link RECORDS_PER_PEER_MAX}. */
  readonly perPeerMax?: number
}

/**
 * The datastore of kad-dht, with bounds on its provider records, which it has none of itself: those
 * that have expired are not read and go, one peer has so many at the most, and when there is no
 * room at all, a record of those who have more than their share gives way to a new one.
 */
export class ProviderRecords extends BaseDatastore {
  readonly #components: ProviderRecordsComponents
  readonly #recordsMax: number
  readonly #perPeerMax: number
  readonly #salt = randomBytes(16) // nobody can choose a name to be counted as somebody else
  readonly #counts = new Int32Array(COUNTERS)
  #size = 0
  /** How many counters are above 0. */
  #peers = 0
  readonly #closing = new AbortController()
  #counting: Promise<void> = Promise.resolve()
  /** Records on their way to the store: each alone would cost ten times as much. */
  #waiting = new Map<string, { readonly peer: string; readonly value: Uint8Array }>()
  #writing: Promise<void> = Promise.resolve()
  #isWriteDue = false

  constructor(components: ProviderRecordsComponents, init: ProviderRecordsInit = {}) {
    super()
    this.#components = components
    this.#recordsMax = init.recordsMax ?? RECORDS_MAX
    this.#perPeerMax = init.perPeerMax ?? RECORDS_PER_PEER_MAX
  }

  /** How many records there are, once all have been counted. */
  get size(): number {
    return this.#size
  }

  /** Begins to count what there is. Nothing may have been put before. */
  open(): void {
    this.#counting = this.#countAll().catch((error) => {
      this.#components.log.error('provider records could not be counted', { error })
    })
  }

  /** Resolves once all records have been counted, and those that have expired are gone. */
  async counted(): Promise<void> {
    await this.#counting
    await this.#written()
  }

  /** Whether a peer has records, or is counted with one that has. */
  hasRecords(peer: string): boolean {
    return this.#counts[this.#counterOf(peer)]! > 0
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#counting
    await this.#written()
    await this.#components.store.close()
  }

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const { store, self } = this.#components
    const peer = providerOf(key.toString())
    if (peer === undefined) return await store.put(key, value)
    if (peer === self) return key
    this.#waiting.set(key.toString(), { peer, value })
    if (this.#waiting.size >= WAITING_MAX) await this.#written()
    else if (!this.#isWriteDue) void this.#writeSoon()
    return key
  }

  override async get(key: Key): Promise<Uint8Array> {
    await this.#written()
    return await this.#components.store.get(key)
  }

  override async has(key: Key): Promise<boolean> {
    await this.#written()
    return await this.#components.store.has(key)
  }

  override async delete(key: Key): Promise<void> {
    await this.#written()
    await this.#remove(key)
  }

  override batch(): Batch {
    return this.#components.store.batch()
  }

  override query(query: Query): AsyncGenerator<Pair> | Generator<Pair> {
    const { prefix } = query
    if (prefix === undefined || !prefix.startsWith(PREFIX)) {
      return this.#components.store.query(query)
    }
    // Of one key, or of all of them to see which have expired.
    return prefix === PREFIX ? this.#valid(prefix) : this.#told(prefix)
  }

  override queryKeys(query: KeyQuery): AsyncGenerator<Key> | Generator<Key> {
    return this.#components.store.queryKeys(query)
  }

  /** Some of the providers of a key, every one as likely as the others. */
  async *#told(prefix: string): AsyncGenerator<Pair> {
    const found: { pair: Pair; rank: Buffer }[] = []
    const salt = randomBytes(8)
    for await (const pair of this.#valid(prefix.endsWith('/') ? prefix : `${prefix}/`)) {
      const rank = createHash('sha256').update(salt).update(pair.key.toString()).digest()
      found.push({ pair, rank })
      if (found.length >= RECORDS_READ_MAX) break
    }
    found.sort((a, b) => Buffer.compare(a.rank, b.rank))
    let told = 0
    for (const { pair } of found) {
      if (told >= PROVIDERS_TOLD_MAX) return
      if (!(await this.#components.isKnown(providerOf(pair.key.toString())!))) continue
      told++
      yield pair
    }
  }

  /** Records that have not expired; the others go. */
  async *#valid(prefix: string): AsyncGenerator<Pair> {
    const { store, clock, self } = this.#components
    await this.#written()
    for await (const pair of store.query({ prefix })) {
      const isOwn = providerOf(pair.key.toString()) === self
      if (!isOwn && timeOf(pair.value) + RECORD_MS > clock.now()) yield pair
      else await this.#remove(pair.key)
    }
  }

  async #countAll(): Promise<void> {
    const { store, clock } = this.#components
    // It sees what there is now: what comes meanwhile is counted as it comes.
    const iterator = store.db.iterator({ gt: `${PREFIX}/`, lt: `${PREFIX}0` })
    for await (const [key, value] of iterator) {
      if (this.#closing.signal.aborted) return
      const peer = providerOf(key)
      if (peer === undefined) continue
      this.#count(peer, 1)
      if (timeOf(value) + RECORD_MS <= clock.now()) await this.#remove(new Key(key, false))
    }
  }

  async #writeSoon(): Promise<void> {
    this.#isWriteDue = true
    const isOver = this.#components.clock.sleep(WRITE_MS, this.#closing).catch(() => undefined)
    await isOver // or the store is closed, which waits for the writing
    this.#isWriteDue = false
    if (!this.#closing.signal.aborted) await this.#written()
  }

  /** Resolves once the store has what was put. */
  async #written(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const records = [...this.#waiting]
      this.#waiting.clear()
      if (records.length > 0) await this.#write(records)
    })
    await this.#writing
  }

  async #write(records: readonly [string, { peer: string; value: Uint8Array }][]): Promise<void> {
    const { store, log } = this.#components
    let batch: { type: 'put'; key: string; value: Uint8Array }[] = []
    let added: string[] = []
    try {
      const held = await store.db.hasMany(records.map(([key]) => key))
      for (const [i, [key, { peer, value }]] of records.entries()) {
        if (!held[i]) {
          if (!this.#hasRoom(peer)) {
            await store.db.batch(batch) // any of these may be the one that gives way
            ;[batch, added] = [[], []]
            if (!(await this.#makeRoom(key, peer))) continue
          }
          this.#count(peer, 1)
          added.push(peer)
        }
        batch.push({ type: 'put', key, value })
      }
      await store.db.batch(batch)
    } catch (error) {
      for (const peer of added) this.#count(peer, -1)
      // They are said again in their peer's next round.
      log.error('provider records could not be kept', { records: records.length, error })
    }
  }

  async #remove(key: Key): Promise<void> {
    const { store } = this.#components
    const peer = providerOf(key.toString())
    if (peer !== undefined && store.db.getSync(key.toString()) !== undefined) this.#count(peer, -1)
    await store.delete(key)
  }

  #hasRoom(peer: string): boolean {
    return this.#size < this.#recordsMax && this.#counts[this.#counterOf(peer)]! < this.#perPeerMax
  }

  /** Whether a record of somebody who has more than others gave way to one of `peer`. */
  async #makeRoom(key: string, peer: string): Promise<boolean> {
    const { store } = this.#components
    const share = this.#size / Math.max(1, this.#peers)
    const own = this.#counts[this.#counterOf(peer)]!
    if (own >= Math.min(share, this.#perPeerMax)) return false
    for (const gt of [key, `${PREFIX}/`]) {
      for await (const other of store.db.keys({ gt, lt: `${PREFIX}0`, limit: GIVING_WAY_MAX })) {
        const held = this.#counts[this.#counterOf(providerOf(other) ?? peer)]!
        if (held <= share && held <= own) continue
        await this.#remove(new Key(other, false))
        return true
      }
    }
    return false
  }

  #count(peer: string, change: 1 | -1): void {
    const counter = this.#counterOf(peer)
    const before = this.#counts[counter]!
    this.#counts[counter] = before + change
    this.#size += change
    if (before === 0) this.#peers++
    else if (before + change === 0) this.#peers--
  }

  #counterOf(peer: string): number {
    return createHash('sha256').update(this.#salt).update(peer).digest().readUInt16BE()
  }
}

/** Whose record it is, undefined where it is no provider record. */
function providerOf(key: string): string | undefined {
  if (!key.startsWith(`${PREFIX}/`)) return undefined
  return key.split('/')[4]
}

/** When it was put, in milliseconds since 1970. */
function timeOf(value: Uint8Array): number {
  return Number(new BinaryReader(value).uint64())
}
