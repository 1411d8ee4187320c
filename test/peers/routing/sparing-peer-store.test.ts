import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Peer, PeerStore } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { SAID_MS, sparingPeerStore } from '../../../src/peers/routing/sparing-peer-store.ts'
import { manualClock } from '../../foundation/manual-clock.ts'

const HERE = [multiaddr('/ip4/10.0.0.1/tcp/4001')]
const THERE = [multiaddr('/ip4/10.0.0.2/tcp/4001')]

/** Counts what is noted; the next note fails with `fault`. */
function countingPeerStore() {
  const store = {
    notes: 0,
    fault: undefined as Error | undefined,
    size: 7,
    has: async () => store.notes > 0,
    merge: async () => {
      store.notes++
      if (store.fault === undefined) return {} as Peer
      const { fault } = store
      store.fault = undefined
      throw fault
    },
  }
  return store
}

async function world() {
  const clock = manualClock()
  const counting = countingPeerStore()
  const sparing = sparingPeerStore(counting as unknown as PeerStore, clock)
  const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  return { clock, counting, sparing, peer }
}

test('what a peer says again at once is not noted again, what is new is', async () => {
  const { clock, counting, sparing, peer } = await world()
  for (let i = 0; i < 5; i++) await sparing.merge(peer, { multiaddrs: HERE })
  expect(counting.notes).toBe(1)
  await sparing.merge(peer, { multiaddrs: THERE })
  expect(counting.notes).toBe(2)
  await clock.pass(SAID_MS)
  await sparing.merge(peer, { multiaddrs: THERE })
  expect(counting.notes).toBe(3)
})

test('peers are told apart, and anything but addresses is always noted', async () => {
  const { counting, sparing, peer } = await world()
  const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  await sparing.merge(peer, { multiaddrs: HERE })
  await sparing.merge(other, { multiaddrs: HERE })
  expect(counting.notes).toBe(2)
  await sparing.merge(peer, { multiaddrs: HERE, protocols: ['/x'] })
  await sparing.merge(peer, { multiaddrs: HERE, protocols: ['/x'] })
  expect(counting.notes).toBe(4)
})

test('a note that failed is made again', async () => {
  const { counting, sparing, peer } = await world()
  counting.fault = new Error('the disk is full')
  await expect(sparing.merge(peer, { multiaddrs: HERE })).rejects.toThrow('the disk is full')
  await sparing.merge(peer, { multiaddrs: HERE })
  expect(counting.notes).toBe(2)
})

test('all else is as before', async () => {
  const { counting, sparing, peer } = await world()
  expect(await sparing.has(peer)).toBe(false)
  await sparing.merge(peer, { multiaddrs: HERE })
  expect(await sparing.has(peer)).toBe(true)
  expect((sparing as unknown as typeof counting).size).toBe(7)
})
