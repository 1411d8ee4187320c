import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  type ListenAddress,
  parseListenAddress,
  renderListenAddress,
} from '../../src/foundation/listen-address.ts'
import { inheritedDescriptor, isLocal, listenAt } from '../../src/foundation/listening.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

const PID = String(process.pid)

test.each([
  ['127.0.0.1:9000', { kind: 'tcp', host: '127.0.0.1', port: 9000 }],
  ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
  ['[::1]:8000', { kind: 'tcp', host: '::1', port: 8000 }],
  ['unix:/run/cairn/rpc.sock', { kind: 'unix', path: '/run/cairn/rpc.sock' }],
  ['systemd', { kind: 'systemd', name: undefined }],
  ['systemd:gateway', { kind: 'systemd', name: 'gateway' }],
])('%s is an address, and renders as itself', (text, address) => {
  expect(parseListenAddress(text)).toEqual(address)
  expect(renderListenAddress(address as ListenAddress)).toBe(text)
})

test.each([
  '',
  '9000',
  ':9000',
  '::1:9000',
  'a:70000',
  'unix:',
  'unix:relative',
  'systemd:',
  'systemd:a b',
  `unix:/${'x'.repeat(107)}`,
])('%j is no address', (text) => expect(parseListenAddress(text)).toBeUndefined())

test('a server listens at a TCP port of the system’s choice', async () => {
  const server = newServer()
  await listenAt(server, { kind: 'tcp', host: '127.0.0.1', port: 0 })
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  expect(isLocal((await accepted)[0])).toBe(true)
  client.destroy()
})

test('a server listens at a socket file, also where a dead process has left one behind', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'socket')
  const leaver = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  await once(leaver, 'exit')
  const server = newServer()
  await listenAt(server, { kind: 'unix', path })
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const client = connect(path)
  expect(isLocal((await accepted)[0])).toBe(true)
  client.destroy()
})

test('a socket file that somebody listens at, and any other file, stays as it is', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'socket')
  await listenAt(newServer(), { kind: 'unix', path })
  await expect(listenAt(newServer(), { kind: 'unix', path })).rejects.toThrow(
    `can not listen at unix:${path}: another process listens there`,
  )
  const file = join(directory.path, 'file')
  await writeFile(file, 'precious')
  await expect(listenAt(newServer(), { kind: 'unix', path: file })).rejects.toThrow('no socket')
})

test('a port that is taken is told by its address', async () => {
  const first = newServer()
  await listenAt(first, { kind: 'tcp', host: '127.0.0.1', port: 0 })
  const { port } = first.address() as AddressInfo
  await expect(listenAt(newServer(), { kind: 'tcp', host: '127.0.0.1', port })).rejects.toThrow(
    new RegExp(`can not listen at 127.0.0.1:${port}: .*EADDRINUSE`),
  )
})

test('sockets of the service manager are found by their names, from descriptor 3 on', () => {
  const env = { LISTEN_PID: PID, LISTEN_FDS: '2', LISTEN_FDNAMES: 'gateway:rpc' }
  expect(inheritedDescriptor('gateway', env)).toBe(3)
  expect(inheritedDescriptor('rpc', env)).toBe(4)
  expect(inheritedDescriptor(undefined, { LISTEN_PID: PID, LISTEN_FDS: '1' })).toBe(3)
  expect(() => inheritedDescriptor('peers', env)).toThrow('no socket of the name peers')
  expect(() => inheritedDescriptor(undefined, env)).toThrow('systemd:NAME (gateway, rpc)')
})

test('sockets that were meant for another process are not taken', () => {
  expect(() => inheritedDescriptor(undefined, {})).toThrow('no socket was handed over')
  expect(() => inheritedDescriptor(undefined, { LISTEN_PID: '1', LISTEN_FDS: '1' })).toThrow(
    'no socket was handed over',
  )
})

test.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['192.0.2.1', false],
  ['::ffff:192.0.2.1', false],
  ['fe80::1', false],
])('a client at %s is on this machine: %s', (remoteAddress, local) => {
  expect(isLocal({ remoteAddress, localAddress: '127.0.0.1', destroyed: false })).toBe(local)
})

test('a client that is gone is not taken for one on this machine', () => {
  const gone = { remoteAddress: undefined, destroyed: false }
  expect(isLocal({ ...gone, localAddress: '192.0.2.2' })).toBe(false)
  expect(isLocal({ ...gone, localAddress: undefined, destroyed: true })).toBe(false)
})

function newServer(): Server {
  const server = createServer()
  onTestFinished(() => void server.close())
  return server
}
