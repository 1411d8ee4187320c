import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { LevelDatastore } from 'datastore-level'
import { Key } from 'interface-datastore'
import { base32 } from 'multiformats/bases/base32'
import { expect, test } from 'vitest'
import { silentLog } from '../../../src/foundation/log.ts'
import { multihashOf } from '../../../src/peers/routing/kademlia-id.ts'
import {
  PROVIDERS_TOLD_MAX,
  ProviderRecords,
  type ProviderRecordsInit,
  RECORD_MS,
} from '../../../src/peers/routing/provider-records.ts'
import { temporaryDirectory } from '../../fixtures/temporary-directory.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

const SELF = 'self'

function prefixOf(n: number): string {
  const key = createHash('sha256').update(`${n}`).digest()
  return `/dht/provider/${base32.encode(multihashOf(key)).slice(1)}`
}

async function listed(records: ProviderRecords, prefix: string): Promise<string[]> {
  const names: string[] = []
  for await (const { key } of records.query({ prefix })) names.push(key.name())
  return names.sort()
}

async function world(init: ProviderRecordsInit = {}) {
  const directory = await temporaryDirectory()
  const clock = manualClock()
  const strangers = new Set<string>()
  const open = async (): Promise<ProviderRecords> => {
    const store = new LevelDatastore(join(directory.path, 'level'))
    await store.open()
    const isKnown = async (peer: string): Promise<boolean> => !strangers.has(peer)
    const records = new ProviderRecords({ store, clock, log: silentLog, self: SELF, isKnown }, init)
    records.open()
    return records
  }
  let records = await open()
  const own = {
    clock,
    strangers,
    get records() {
      return records
    },
    put: async (n: number, peer: string): Promise<void> => {
      const value = new BinaryWriter().uint64(clock.now()).finish()
      await records.put(new Key(`${prefixOf(n)}/${peer}`), value)
    },
    told: (n: number): Promise<string[]> => listed(records, prefixOf(n)),
    reopen: async (): Promise<void> => {
      await records.close()
      records = await open()
      await records.counted()
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await records.close()
      await directory[Symbol.asyncDispose]()
    },
  }
  return own
}

test('records are told, each key its own, and outlive a restart with their number', async () => {
  await using it = await world()
  await it.put(1, 'a')
  await it.put(1, 'b')
  await it.put(1, 'b')
  await it.put(2, 'a')
  expect(await it.told(1)).toEqual(['a', 'b'])
  await it.reopen()
  expect(await it.told(1)).toEqual(['a', 'b'])
  expect(await it.told(2)).toEqual(['a'])
  expect(it.records.size).toBe(3)
  expect(it.records.hasRecords('a')).toBe(true)
  expect(it.records.hasRecords('c')).toBe(false)
})

test('a record that has expired is not told, and goes; saying it again renews it', async () => {
  await using it = await world()
  await it.put(1, 'a')
  await it.put(1, 'b')
  await it.clock.pass(RECORD_MS - 1)
  await it.put(1, 'b')
  expect(await it.told(1)).toEqual(['a', 'b'])
  await it.clock.pass(1)
  expect(await it.told(1)).toEqual(['b'])
  expect(it.records.size).toBe(1)
})

test('records that expired while the node was off are not counted', async () => {
  await using it = await world()
  for (let i = 0; i < 10; i++) await it.put(i, 'a')
  await it.clock.pass(RECORD_MS)
  await it.reopen()
  expect(it.records.size).toBe(0)
  expect(it.records.hasRecords('a')).toBe(false)
})

test('one peer has so many records and no more', async () => {
  await using it = await world({ perPeerMax: 5, recordsMax: 100 })
  for (let i = 0; i < 20; i++) await it.put(i, 'greedy')
  await it.put(0, 'other')
  await it.records.counted()
  expect(it.records.size).toBe(6)
  expect(await it.told(0)).toEqual(['greedy', 'other'])
  expect(await it.told(19)).toEqual([])
})

test('when there is no room, who has more than their share gives way', async () => {
  await using it = await world({ recordsMax: 50 })
  for (let i = 0; i < 80; i++) await it.put(i, 'greedy')
  await it.records.counted()
  expect(it.records.size).toBe(50)
  for (let i = 0; i < 10; i++) await it.put(i, 'honest')
  for (let i = 0; i < 10; i++) expect(await it.told(i)).toContain('honest')
  for (let i = 100; i < 150; i++) await it.put(i, 'greedy')
  for (let i = 0; i < 10; i++) expect(await it.told(i)).toContain('honest')
  expect(it.records.size).toBe(50)
})

test('of a key that very many have, some are told, never those of whom nothing is known', async () => {
  await using it = await world()
  for (let i = 0; i < 100; i++) await it.put(1, `peer-${i}`)
  it.strangers.add('peer-3')
  const seen = new Set<string>()
  for (let i = 0; i < 30; i++) {
    const told = await it.told(1)
    expect(told.length).toBe(PROVIDERS_TOLD_MAX)
    for (const peer of told) seen.add(peer)
  }
  expect(seen.size).toBe(99)
})

test('what the node itself has is not for kad-dht to keep', async () => {
  await using it = await world()
  await it.put(1, SELF)
  expect(await it.told(1)).toEqual([])
  expect(it.records.size).toBe(0)
})

test('everything else is kept as it is', async () => {
  await using it = await world()
  const key = new Key('/elsewhere/x')
  const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
  await it.records.put(key, Buffer.from(peer))
  expect(Buffer.from(await it.records.get(key)).toString()).toBe(peer)
  expect(await it.records.has(key)).toBe(true)
  expect(await listed(it.records, '/elsewhere')).toEqual(['x'])
  await it.records.delete(key)
  expect(await it.records.has(key)).toBe(false)
})
