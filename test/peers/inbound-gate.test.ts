import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import {
  BANNED_BURST_MAX,
  InboundGate,
  PENDING_MAX,
  PENDING_PER_HOST_MAX,
} from '../../src/peers/inbound-gate.ts'
import { connected, peerNode } from '../fixtures/peer-node.ts'
import { manualClock } from '../foundation/manual-clock.ts'

function connection(host: string) {
  const remoteAddr = multiaddr(`/ip4/${host}/tcp/1234`)
  return Object.assign(new EventTarget(), { remoteAddr })
}

test('one host has only so many handshakes under way; others are not kept out by it', () => {
  const gate = new InboundGate({ clock: manualClock() }, { perHostMax: 2 })
  const [first, second] = [connection('192.0.2.1'), connection('192.0.2.1')]
  expect(gate.denies(first)).toBe(false)
  expect(gate.denies(second)).toBe(false)
  expect(gate.denies(connection('192.0.2.1'))).toBe(true)
  expect(gate.denies(connection('192.0.2.2'))).toBe(false)
  gate.admitted(first)
  const third = connection('192.0.2.1')
  expect(gate.denies(third)).toBe(false)
  expect(gate.denies(connection('192.0.2.1'))).toBe(true)
  second.dispatchEvent(new Event('close'))
  expect(gate.denies(connection('192.0.2.1'))).toBe(false)
})

test('a host from which banned peers keep coming is let in seldom, others as ever', async () => {
  const clock = manualClock()
  const gate = new InboundGate({ clock })
  const handshake = (): boolean => {
    const dialled = connection('192.0.2.1')
    if (gate.denies(dialled)) return false
    gate.turnedAway(dialled)
    dialled.dispatchEvent(new Event('close'))
    return true
  }
  for (let i = 0; i < BANNED_BURST_MAX; i++) expect(handshake()).toBe(true)
  expect(handshake()).toBe(false)
  expect(gate.denies(connection('192.0.2.2'))).toBe(false)
  let letIn = 0
  for (let i = 0; i < 100; i++) {
    await clock.pass(100)
    if (handshake()) letIn++
  }
  expect(letIn).toBeGreaterThan(7)
  expect(letIn).toBeLessThan(12)
})

test('connections that say nothing are cut, and keep nobody out', async () => {
  await using node = await peerNode()
  const port = Number(/\/tcp\/(\d+)\//.exec(node.host.addresses[0]!)![1])
  const silent: Socket[] = []
  const cut = new Set<Socket>()
  for (let i = 0; i < PENDING_PER_HOST_MAX * 2; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('close', () => cut.add(socket))
    silent.push(socket)
    await Promise.race([once(socket, 'ready'), once(socket, 'close')]).catch(() => undefined)
  }
  try {
    // This machine's share is taken, and given back as the handshakes time out.
    await using other = await peerNode({ bootstrap: [node] })
    await connected(node, other)
    expect(cut.size).toBeGreaterThanOrEqual(PENDING_PER_HOST_MAX)
  } finally {
    for (const socket of silent) socket.destroy()
  }
})

test('one host can not take the room of all', () => {
  expect(PENDING_PER_HOST_MAX).toBeLessThan(PENDING_MAX / 4)
})
