/* node announce-nodes.ts DIRECTORY COUNT [mdns]: hosts in one process, and what they send. */

import type { Socket as UdpSocket } from 'node:dgram'
import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { Host } from '../../src/peers/host.ts'

/** What crossed the sockets of this process, in bytes. */
export interface SocketBytes {
  readonly tcp: number
  readonly udp: number
}

/** Counts what crosses all sockets that are made from now on: payloads, without TCP's headers. */
export function countSockets(): () => SocketBytes {
  const sockets = new Set<Socket>()
  let closed = 0
  let udp = 0
  const track = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      closed += socket.bytesRead + socket.bytesWritten
    })
  }
  channel('net.client.socket').subscribe(track)
  channel('net.server.socket').subscribe(track)
  channel('udp.socket').subscribe((message) => {
    const { socket } = message as { socket: UdpSocket }
    socket.on('message', (bytes) => {
      udp += bytes.length
    })
    const send = socket.send as (...args: unknown[]) => void
    const counting = (...args: unknown[]): void => {
      const [bytes, , length] = args as [Uint8Array, unknown, unknown]
      udp += typeof length === 'number' && length < 65_536 ? length : bytes.length
      send.apply(socket, args)
    }
    socket.send = counting as typeof socket.send
  })
  return () => {
    let tcp = closed
    for (const { bytesRead, bytesWritten } of sockets) tcp += bytesRead + bytesWritten
    return { tcp, udp }
  }
}

/** A host on a free port of the loopback. */
export async function startHost(
  datastorePath: string,
  bootstrap: readonly string[],
  mdns = false,
): Promise<Host> {
  const identity = await generateKeyPair('Ed25519')
  const isBanned = (): boolean => false
  const ports = { clock: systemClock, log: silentLog }
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const host = await Host.open(
    { ...ports, identity, datastorePath, isBanned },
    { listen, bootstrap, mdns },
  )
  await host.start()
  return host
}

if (process.argv[1] === import.meta.filename) {
  const [, , directory = '.', count = '20', mdns] = process.argv
  const bytes = countSockets()
  const hosts: Host[] = []
  for (let i = 0; i < Number(count); i++) {
    const bootstrap = mdns === undefined ? (hosts[0]?.addresses ?? []) : []
    hosts.push(
      await startHost(join(directory, `${mdns ?? 'plain'}-${i}`), bootstrap, mdns === 'mdns'),
    )
  }
  process.on('message', () => process.send?.({ ...bytes(), nodes: hosts.length }))
  process.on('disconnect', () => process.exit(0))
  process.send?.(hosts[0]!.addresses)
}
