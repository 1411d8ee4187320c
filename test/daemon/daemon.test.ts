import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { connectNode, importPath } from '../../src/daemon/client.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { StorePath } from '../../src/nix/store-path.ts'
import { until } from '../fixtures/await-peers.ts'
import { call, noise } from '../fixtures/content.ts'
import { type DaemonProcess, freePorts, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { file, narOf } from '../nar/trees.ts'

const MIB = 1024 * 1024

const ENTRY = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** A daemon that is not expected to come up: what it says, and its exit code. */
async function refused(args: readonly string[]): Promise<{ code: number; words: string }> {
  const [gateway, rpc, peers] = await freePorts(3)
  const places = {
    '--gateway': `127.0.0.1:${gateway}`,
    '--rpc': `127.0.0.1:${rpc}`,
    '--listen': `/ip4/127.0.0.1/tcp/${peers}`,
  }
  const own = Object.entries(places).filter(([flag]) => !args.includes(flag))
  const argv = [ENTRY, 'daemon', '--no-mdns', ...own.flat(), ...args]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'close')
  const killed = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const words = await text(child.stderr)
  const [code] = await ended
  clearTimeout(killed)
  return { code, words }
}

async function put(node: DaemonProcess, content: Uint8Array): Promise<string> {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'content')
  await writeFile(path, content)
  using client = connectNode(node.rpc)
  return (await importPath(client, path, {}, call)).storePath
}

/** Begins to read the path's NAR. */
async function answerOf(node: DaemonProcess, storePath: string): Promise<IncomingMessage> {
  const hash = StorePath.parse(storePath).hashText
  const info = parseNarInfo(await (await fetch(`${node.gatewayUrl}/${hash}.narinfo`)).text())
  const [answer] = await once(get(`${node.gatewayUrl}/${info.url}`), 'response')
  return answer
}

/** Begins a gRPC call, and never sends all of what it asks. */
async function withOpenCall(node: DaemonProcess) {
  const session = connect(`http://${node.rpc}`)
  session.on('error', () => undefined) // it is cut
  await once(session, 'connect')
  const open = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  open.on('error', () => undefined)
  open.write(Buffer.from([0, 0, 0, 0, 9]))
  // What is answered on the same connection later says that the call has begun.
  await new Promise<void>((resolve, reject) => {
    session.ping((error) => (error === null ? resolve() : reject(error)))
  })
  return { isCut: () => open.destroyed, [Symbol.dispose]: () => session.destroy() }
}

test('a second node on the same state says so and ends', async () => {
  await using node = await startDaemon({ args: ['--no-mdns'] })
  const { code, words } = await refused(['--state', node.state])
  expect(code).toBe(1)
  expect(words).toContain('the store is in use by another process')
  expect((await fetch(`${node.gatewayUrl}/nix-cache-info`)).status).toBe(200)
})

test('a state of a newer format is left alone', async () => {
  await using directory = await temporaryDirectory()
  const { path: state } = directory
  {
    await using node = await startDaemon({ args: ['--no-mdns'], state })
    await node.stop()
  }
  const marker = join(state, 'store', 'format')
  await writeFile(marker, '999\n')
  const { code, words } = await refused(['--state', state])
  expect(code).toBe(1)
  expect(words).toContain('999')
  expect(await readFile(marker, 'utf8')).toBe('999\n')
})

test('a place that is taken is told with the part that wanted it', async () => {
  await using node = await startDaemon({ args: ['--no-mdns'] })
  await using directory = await temporaryDirectory()
  const state = ['--state', directory.path]
  const gateway = await refused([...state, '--gateway', node.gatewayUrl.slice('http://'.length)])
  expect(gateway).toMatchObject({ code: 1 })
  expect(gateway.words).toContain('the gateway can not listen at')
  const rpc = await refused([...state, '--rpc', node.rpc])
  expect(rpc).toMatchObject({ code: 1 })
  expect(rpc.words).toContain('the gRPC server can not listen at')
  const peers = await refused([...state, '--listen', node.listen])
  expect(peers).toMatchObject({ code: 1 })
  expect(peers.words).toMatch(/^cairn: peers can not be listened for at .*EADDRINUSE.*\n$/m)
})

test('the whole of it works by sockets in the file system, with no port but the peers’', async () => {
  await using directory = await temporaryDirectory()
  const [gateway, rpc] = ['gateway', 'rpc'].map((it) => `unix:${join(directory.path, it)}`)
  const [port] = await freePorts(1)
  const listen = `/ip4/127.0.0.1/tcp/${port}`
  const flags = [
    '--state',
    directory.path,
    '--gateway',
    gateway!,
    '--rpc',
    rpc!,
    '--listen',
    listen,
  ]
  const child = spawn(process.execPath, [ENTRY, 'daemon', '--no-mdns', ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const words = text(child.stderr)
  try {
    await until(() => existsSync(join(directory.path, 'gateway')))
    const path = join(directory.path, 'content')
    await writeFile(path, 'by a socket file')
    using client = connectNode(rpc!)
    const { storePath } = await importPath(client, path, {}, call)
    expect(storePath).toMatch(/-content$/)
    expect((await client.status(call)).gateway).toBe(gateway)
  } finally {
    child.kill()
    await once(child, 'exit')
  }
  expect(await words).not.toContain('error')
})

test.each([
  ['--signing-key', '/nowhere/key', 'the signing key in /nowhere/key can not be used'],
  ['--config', '/nowhere/cairn.toml', '/nowhere/cairn.toml can not be read'],
  [
    '--gateway',
    'nonsense',
    '--gateway is HOST:PORT, such as 127.0.0.1:9000, or unix:/PATH, or systemd:NAME, not "nonsense"',
  ],
  ['--trusted-key', 'nonsense', '--trusted-key is a public key as NAME:BASE64'],
])('%s %s is used wrongly', async (flag, value, expected) => {
  await using directory = await temporaryDirectory()
  const { code, words } = await refused(['--state', directory.path, flag, value])
  expect(code).toBe(2)
  expect(words).toContain(`cairn: ${expected}`)
})

test('on SIGTERM an answer under way finishes, if it is read', async () => {
  await using node = await startDaemon({ args: ['--no-mdns'] })
  const content = noise(30 * MIB, 'drained')
  const answer = await answerOf(node, await put(node, content))
  const stopped = node.stop()
  await until(() => node.log().includes('"stopping"'))
  const parts: Buffer[] = []
  for await (const part of answer) parts.push(part)
  expect(Buffer.concat(parts).equals(narOf(file(content)))).toBe(true)
  const readAt = performance.now()
  expect(await stopped).toBe(0)
  expect(performance.now() - readAt).toBeLessThan(4_000) // it does not wait for an idle client
  expect(node.log()).toContain('"stopped"')
})

test('on SIGTERM an answer that nobody reads and a call without an end are cut at once', async () => {
  await using node = await startDaemon({ args: ['--no-mdns'] })
  const answer = await answerOf(node, await put(node, noise(30 * MIB, 'stalled')))
  using rpc = await withOpenCall(node)
  const start = performance.now()
  expect(await node.stop()).toBe(0)
  expect(performance.now() - start).toBeLessThan(8_000)
  expect(node.log()).toContain('"stopped"')
  const reading = async (): Promise<void> => {
    for await (const _ of answer);
  }
  await expect(reading()).rejects.toThrow('aborted')
  expect(rpc.isCut()).toBe(true)
})

test('what was acknowledged is there after a crash', async () => {
  await using directory = await temporaryDirectory()
  const init = { args: ['--no-mdns'], state: directory.path }
  const content = noise(5 * MIB, 'kept')
  await using first = await startDaemon(init)
  const storePath = await put(first, content)
  await first.kill()
  await using second = await startDaemon(init)
  const answer = await answerOf(second, storePath)
  const parts: Buffer[] = []
  for await (const part of answer) parts.push(part)
  expect(Buffer.concat(parts).equals(narOf(file(content)))).toBe(true)
})

test('the identity stays, and is for its owner alone', async () => {
  await using directory = await temporaryDirectory()
  const init = { args: ['--no-mdns'], state: directory.path }
  const ids = []
  for (let i = 0; i < 2; i++) {
    await using node = await startDaemon(init)
    using client = connectNode(node.rpc)
    ids.push((await client.status(call)).peerId)
    expect(await node.stop()).toBe(0)
  }
  expect(ids[0]).toBe(ids[1])
})

test('each part has its own log level', async () => {
  const log = 'silent,gateway=debug'
  await using node = await startDaemon({ args: ['--no-mdns'], env: { CAIRN_LOG: log } })
  await fetch(`${node.gatewayUrl}/${'0'.repeat(32)}.narinfo`)
  await until(() => node.log().includes('request refused'))
  const parts = new Set(
    node
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).part),
  )
  expect(parts).toEqual(new Set(['gateway']))
})
