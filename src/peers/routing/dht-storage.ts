import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryDatastore, MountDatastore } from 'datastore-core'
import { LevelDatastore } from 'datastore-level'
import { type Datastore, Key } from 'interface-datastore'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import { ProviderRecords } from './provider-records.ts'

/** How many peers' addresses are kept on the disk. */
export const ADDRESSED_PEERS_MAX = 4_096

/** How many addresses of one peer are kept on the disk. */
export const ADDRESSES_PER_PEER_MAX = 16

/** Where addresses are kept: each key is this and a peer. */
const PREFIX = '/cairn/addresses'

/** What is needed of libp2p's memory of peers. */
export interface AddressBook {
  has(peer: ReturnType<typeof peerIdFromString>): Promise<boolean>
  merge(
    peer: ReturnType<typeof peerIdFromString>,
    data: { multiaddrs: ReturnType<typeof multiaddr>[] },
  ): Promise<unknown>
}

/**
 * What libp2p keeps: provider records on the disk, and where their providers are, so that both
 * outlive the process; everything else that it hears of peers only in memory, because it notes that
 * again each time.
 */
export class DhtStorage {
  readonly #level: LevelDatastore
  readonly #records: ProviderRecords
  #book: AddressBook | undefined
  readonly #addressed = new Set<string>()
  /** Those that were met by this process. */
  readonly #met = new Set<string>()
  #restoring: Promise<void> = Promise.resolve()

  private constructor(level: LevelDatastore, init: { clock: Clock; log: Log; self: string }) {
    this.#level = level
    const isKnown = async (peer: string): Promise<boolean> =>
      (await this.#book?.has(peerIdFromString(peer))) === true
    this.#records = new ProviderRecords({ store: level, isKnown, ...init })
  }

  /** Opens or makes it at `path`. */
  static async open(
    path: string,
    components: { clock: Clock; log: Log; self: string },
  ): Promise<DhtStorage> {
    const level = new LevelDatastore(path)
    await level.open()
    const storage = new DhtStorage(level, components)
    storage.#records.open()
    return storage
  }

  /** The datastore for libp2p. */
  datastore(): Datastore {
    const memory = { prefix: new Key('/peers'), datastore: new MemoryDatastore() }
    return new MountDatastore([memory, { prefix: new Key('/'), datastore: this.#records }])
  }

  /** Tells libp2p where the providers are whose records were kept. */
  async restore(book: AddressBook): Promise<void> {
    this.#book = book
    this.#restoring = this.#restore(book)
    await this.#restoring
  }

  /** Takes note of where a peer is. */
  async remember(peer: string, addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0) return
    if (!this.#addressed.has(peer) && this.#addressed.size >= ADDRESSED_PEERS_MAX) return
    this.#addressed.add(peer)
    this.#met.add(peer)
    const kept = addresses.slice(0, ADDRESSES_PER_PEER_MAX)
    await this.#level.put(new Key(`${PREFIX}/${peer}`), Buffer.from(JSON.stringify(kept)))
  }

  async close(): Promise<void> {
    await this.#restoring.catch(() => undefined) // whoever began it has been told
    await this.#records.close()
  }

  async #restore(book: AddressBook): Promise<void> {
    const kept: [string, string[]][] = []
    for await (const { key, value } of this.#level.query({ prefix: PREFIX })) {
      kept.push([key.name(), JSON.parse(Buffer.from(value).toString())])
    }
    for (const [peer, addresses] of kept) {
      this.#addressed.add(peer)
      const multiaddrs = addresses.map((address) => multiaddr(address))
      await book.merge(peerIdFromString(peer), { multiaddrs })
    }
    // Room for others, once it is known who has records.
    void this.#records.counted().then(async () => {
      for (const [peer] of kept) {
        if (this.#met.has(peer) || this.#records.hasRecords(peer)) continue
        this.#addressed.delete(peer)
        await this.#level.delete(new Key(`${PREFIX}/${peer}`)).catch(() => undefined) // closed
      }
    })
  }
}
