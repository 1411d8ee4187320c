import { createSocket } from 'node:dgram'
import { expect, test } from 'vitest'
import { connected, peerNode } from '../fixtures/peer-node.ts'

/** Whether a datagram that is sent to the group of mDNS comes back on this machine. */
async function multicastWorks(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), 1_000)
  socket.on('error', () => resolve(false)).on('message', () => resolve(true))
  socket.bind(0, () => {
    try {
      socket.addMembership('224.0.0.251')
      socket.send('cairn', socket.address().port, '224.0.0.251', (error) => {
        if (error !== null) resolve(false)
      })
    } catch {
      resolve(false)
    }
  })
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.close()
  }
}

const works = await multicastWorks()

test.skipIf(!works)('nodes find each other by mDNS (needs a route for multicast)', async () => {
  await using a = await peerNode({ mdns: true })
  await using b = await peerNode({ mdns: true })
  await connected(a, b)
  expect(b.host.connected().map(({ id }) => id)).toContain(a.host.id)
})
