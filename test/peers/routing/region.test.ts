import { createHash } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  commonBits,
  compareNearness,
  multihashOf,
  placeOf,
  placeOfKey,
} from '../../../src/peers/routing/kademlia-id.ts'
import {
  countWithin,
  isWithin,
  regionAround,
  type Server,
} from '../../../src/peers/routing/region.ts'

const K = 20
const hash = (text: string): Uint8Array => createHash('sha256').update(text).digest()
const network = (size: number, seed: number): Server[] =>
  Array.from({ length: size }, (_, i) => ({ peer: `${i}`, place: hash(`node ${seed} ${i}`) }))
const nearest = (servers: readonly Server[], place: Uint8Array): Server[] =>
  servers.toSorted((a, b) => compareNearness(place, a.place, b.place)).slice(0, K)

test('places are as kad-dht computes them: the SHA-256 of a multihash', () => {
  const key = hash('key')
  expect(placeOfKey(key)).toEqual(placeOf(multihashOf(key)))
  const id = peerIdFromString('12D3KooWAmVVJfdpGvf61RtrPqwRvBJaaoK9upPKfG2brRht3ZY8')
  expect(placeOf(id.toMultihash().bytes).length).toBe(32)
})

test('common bits are counted from the first on', () => {
  expect(commonBits(Uint8Array.of(0b1010_0000), Uint8Array.of(0b1010_0001))).toBe(7)
  expect(commonBits(Uint8Array.of(1, 0x80), Uint8Array.of(1, 0))).toBe(8)
  expect(commonBits(Uint8Array.of(5), Uint8Array.of(5))).toBe(8)
})

test('a small network is one region, and everybody is told', () => {
  const servers = network(K - 1, 1)
  const region = regionAround(hash('probe'), servers, K)
  expect(region.bits).toBe(0)
  expect(region.servers.length).toBe(K - 1)
  expect(countWithin(region, [hash('a'), hash('b')])).toBe(2)
})

test('in a large network the keys of a region have most of their servers in common', () => {
  const sizes = fc.integer({ min: 21, max: 600 })
  fc.assert(
    fc.property(sizes, fc.nat(1_000), (size, seed) => {
      const servers = network(size, seed)
      const probe = hash(`probe ${seed}`)
      const region = regionAround(probe, nearest(servers, probe), K)
      expect(region.servers.length).toBe(K)
      const told = new Set(region.servers.map(({ peer }) => peer))
      const keys = Array.from({ length: 400 }, (_, i) => hash(`key ${i}`))
      let found = 0
      const within = keys.filter((key) => isWithin(region, key))
      for (const key of within) {
        const kept = nearest(servers, key).filter(({ peer }) => told.has(peer)).length
        expect(kept).toBeGreaterThan(0)
        found += kept
        // Whoever shares the region's bits is told: the next ones to the key without exception.
        for (const { peer, place } of servers) {
          if (commonBits(place, probe) >= region.bits) expect(told.has(peer)).toBe(true)
        }
      }
      if (within.length > 5) expect(found / within.length).toBeGreaterThan(0.5 * K)
    }),
    { numRuns: 25 },
  )
})

test('of keys in order those are counted that are within, from the first on', () => {
  const place = Uint8Array.of(0b1100_0000, ...new Uint8Array(31))
  const region = { place, bits: 2, servers: [] }
  const at = (byte: number): Uint8Array => Uint8Array.of(byte, ...new Uint8Array(31))
  expect(countWithin(region, [at(0xc0), at(0xff), at(0x80), at(0xc1)])).toBe(2)
  expect(countWithin(region, [at(0)])).toBe(0)
})
