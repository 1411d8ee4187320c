import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { BlockList, connect, isIPv6, type Server, type Socket } from 'node:net'
import { type ListenAddress, renderListenAddress } from './listen-address.ts'

/** The first descriptor that a service manager hands over, by sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6')

/**
 * Makes a server listen; resolves once clients can connect. A socket file that a killed process has
 * left behind is replaced.
 * @throws Error that says where and why it can not listen
 */
export async function listenAt(server: Server, address: ListenAddress): Promise<void> {
  try {
    if (address.kind === 'unix') await removeStaleSocket(address.path)
    const listening = once(server, 'listening')
    if (address.kind === 'tcp') server.listen({ host: address.host, port: address.port })
    else if (address.kind === 'unix') server.listen({ path: address.path })
    else server.listen({ fd: inheritedDescriptor(address.name, process.env) })
    await listening
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`can not listen at ${renderListenAddress(address)}: ${why}`, { cause })
  }
}

/**
 * The descriptor of a socket that the service manager opened, by sd_listen_fds(3).
 * @throws Error where there is none, or several and no name says which
 */
export function inheritedDescriptor(
  name: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): number {
  const count = Number(env.LISTEN_FDS ?? 0)
  if (env.LISTEN_PID !== String(process.pid) || !Number.isInteger(count) || count < 1) {
    throw new Error('no socket was handed over; is this service started by a .socket unit?')
  }
  const names = (env.LISTEN_FDNAMES ?? '').split(':')
  if (name === undefined && count > 1) {
    const known = names.filter((it) => it !== '').join(', ')
    throw new Error(`${count} sockets were handed over; say which as systemd:NAME (${known})`)
  }
  const at = name === undefined ? 0 : names.indexOf(name)
  if (at >= 0 && at < count) return FIRST_DESCRIPTOR + at
  throw new Error(`no socket of the name ${name} was handed over, only ${names.join(', ')}`)
}

/** Whether the other end is on this machine: by the loopback network or by a Unix socket. */
export function isLocal(
  socket: Pick<Socket, 'remoteAddress' | 'localAddress' | 'destroyed'>,
): boolean {
  const address = socket.remoteAddress
  if (address !== undefined) return loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  // A Unix socket has neither address; a TCP socket whose client is gone still has its own.
  return socket.localAddress === undefined && !socket.destroyed
}

async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('there is a file of that name, which is no socket')
  const probe = connect(path)
  const answers = await once(probe, 'connect').then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ECONNREFUSED',
  )
  probe.destroy()
  if (answers) throw new Error('another process listens there')
  await unlink(path)
}
