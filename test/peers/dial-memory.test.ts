import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { ADDRESSES_MAX, DialMemory, SILENT_MS, SILENT_MS_MAX } from '../../src/peers/dial-memory.ts'
import { until } from '../fixtures/await-peers.ts'
import { call } from '../fixtures/content.ts'
import { connected, peerNode } from '../fixtures/peer-node.ts'
import { manualClock } from '../foundation/manual-clock.ts'

const THERE = multiaddr('/ip4/192.0.2.1/tcp/9001')
const WHOM = multiaddr(`${THERE}/p2p/12D3KooWAmVVJfdpGvf61RtrPqwRvBJaaoK9upPKfG2brRht3ZY8`)

test('where nobody answers is left alone for a while, longer each time, whoever was meant', async () => {
  const clock = manualClock()
  const memory = new DialMemory({ clock })
  expect(memory.isInVain(THERE)).toBe(false)
  for (const ms of [SILENT_MS, 2 * SILENT_MS, 4 * SILENT_MS]) {
    memory.failed(WHOM)
    await clock.pass(ms - 1)
    expect(memory.isInVain(THERE)).toBe(true)
    await clock.pass(1)
    expect(memory.isInVain(THERE)).toBe(false)
  }
  for (let i = 0; i < 20; i++) memory.failed(THERE)
  await clock.pass(SILENT_MS_MAX)
  expect(memory.isInVain(WHOM)).toBe(false)
})

test('an answer makes up for all failures', async () => {
  const clock = manualClock()
  const memory = new DialMemory({ clock })
  for (let i = 0; i < 5; i++) memory.failed(THERE)
  memory.forget(WHOM)
  expect(memory.isInVain(THERE)).toBe(false)
  memory.failed(THERE)
  await clock.pass(SILENT_MS)
  expect(memory.isInVain(THERE)).toBe(false)
})

test('only so many addresses are remembered, the latest', () => {
  const memory = new DialMemory({ clock: manualClock() })
  memory.failed(THERE)
  for (let i = 0; i < ADDRESSES_MAX; i++) memory.failed(multiaddr(`/ip4/10.0.0.1/tcp/${i + 1}`))
  expect(memory.isInVain(THERE)).toBe(false)
  expect(memory.isInVain(multiaddr('/ip4/10.0.0.1/tcp/1'))).toBe(true)
})

test('a peer that has left is dialled once, and then not for every question', async () => {
  await using node = await peerNode()
  const gone = await peerNode()
  const peer = { id: gone.host.id, addresses: gone.host.addresses }
  await gone[Symbol.asyncDispose]()
  await expect(node.host.connect(peer, call)).rejects.toThrow('can not be reached')
  const begun = performance.now()
  for (let i = 0; i < 20; i++) await expect(node.host.connect(peer, call)).rejects.toThrow()
  expect(performance.now() - begun).toBeLessThan(SILENT_MS)
})

test('a bootstrap peer that comes late is found all the same', async () => {
  await using first = await peerNode()
  const { addresses } = first.host
  await using late = await peerNode({ holes: addresses })
  await connected(first, late)
  await until(() => late.host.connected().length === 1)
})
