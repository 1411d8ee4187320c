import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { basename, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { FileNode } from '../../src/castore/model/node.ts'
import { encodeUrlRoot } from '../../src/castore/model/root-url.ts'
import { connectNode, generateKey } from '../../src/daemon/client.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import { runCairn } from '../cli/run-cairn.ts'
import { until } from '../fixtures/await-peers.ts'
import { call, noise } from '../fixtures/content.ts'
import { type DaemonProcess, startDaemon } from '../fixtures/daemon-process.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { narInfoUrl } from './machines.ts'

const MIB = 1024 * 1024
const LARGE = noise(16 * MIB, 'large')

const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

const { path: directory } = stack.use(await temporaryDirectory())
const key = generateKey('source-1')
await writeFile(join(directory, 'secret.key'), key.secret)
const signing = ['--signing-key', join(directory, 'secret.key')]
const source = stack.use(await startDaemon({ args: ['--no-mdns', ...signing] }))

/** A tree that has most in common with its other versions; all NARs of them are as long. */
async function importedVersion(name: 'one' | 'two'): Promise<string> {
  const tree = join(directory, name)
  await mkdir(join(tree, 'share', 'doc'), { recursive: true })
  await writeFile(join(tree, 'large'), LARGE)
  await writeFile(join(tree, 'share', 'doc', 'README'), `version ${name}\n`)
  const { stdout } = await runCairn(['import', tree], { env: { CAIRN_RPC: source.rpc } })
  return stdout.trim()
}

const one = await importedVersion('one')
const two = await importedVersion('two')

async function narInfoOf(node: { readonly gatewayUrl: string }, storePath: string) {
  return parseNarInfo(await (await fetch(narInfoUrl(node.gatewayUrl, storePath))).text())
}

/** What Nix would get of a path from a node. */
async function pulled(node: DaemonProcess, storePath: string): Promise<Buffer> {
  const { url } = await narInfoOf(node, storePath)
  const answer = await fetch(`${node.gatewayUrl}/${url}`)
  expect(answer.status, node.log()).toBe(200)
  return Buffer.from(await answer.arrayBuffer())
}

const nars = new Map([
  [one, await pulled(source, one)],
  [two, await pulled(source, two)],
])

/** The source's gateway as a cache, counted; it may name other roots than the source does. */
async function cacheOf(rootInstead: (storePath: string) => string | undefined = () => undefined) {
  let narBytes = 0
  const realUrls = new Map<string, string>()
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = realUrls.get(request.url!) ?? request.url!
    const real = await fetch(source.gatewayUrl + asked)
    let body = Buffer.from(await real.arrayBuffer())
    if (asked.endsWith('.narinfo') && real.status === 200) {
      const info = parseNarInfo(body.toString())
      const root = rootInstead(info.storePath.toString())
      const url = root === undefined ? info.url : `nar/snix-castore/${root}?of=${info.storePath}`
      realUrls.set(`/${url}`, `/${info.url}`)
      body = Buffer.from(body.toString().replace(`URL: ${info.url}`, `URL: ${url}`))
    } else if (asked.startsWith('/nar/')) {
      narBytes += body.length
    }
    response.writeHead(real.status, { 'content-length': body.length }).end(body)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const port = await listening(server)
  stack.defer(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${port}`, narBytes: () => narBytes }
}

/** The source's gRPC, counted. */
async function storeOf() {
  let bytes = 0
  const open = new Set<Socket>()
  const [host, port] = source.rpc.split(':')
  const server = createTcpServer((near) => {
    const far = connect(Number(port), host)
    far.on('data', (part) => {
      bytes += part.length
    })
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket)
      socket.on('error', () => other.destroy()).on('close', () => other.destroy())
      socket.pipe(other)
    }
  })
  const own = await listening(server)
  stack.defer(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return { url: `grpc+http://127.0.0.1:${own}`, bytes: () => bytes }
}

async function listening(server: ReturnType<typeof createTcpServer>): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

/** A node that trusts the key for what the cache says alone, so that its peers' paths are none. */
async function nodeWith(
  name: string,
  upstreams: { readonly cache: string; readonly store?: string },
  args: readonly string[] = [],
): Promise<DaemonProcess> {
  const config = join(directory, `${name}.toml`)
  const tables = [`[[upstream]]\nurl = "${upstreams.cache}"\ntrusted_keys = ["${key.public}"]\n`]
  if (upstreams.store !== undefined) tables.push(`[[upstream]]\nurl = "${upstreams.store}"\n`)
  await writeFile(config, tables.join('\n'))
  return await startDaemon({ args: ['--no-mdns', '--config', config, ...args] })
}

/** The same, connected to the source. */
async function neighbourWith(name: string, cache: string): Promise<DaemonProcess> {
  const node = await nodeWith(name, { cache }, ['--bootstrap', source.listen])
  using client = connectNode(node.rpc)
  await until(async () => (await client.peers(call)).length > 0)
  return node
}

async function bytesFetched(node: DaemonProcess): Promise<number> {
  using client = connectNode(node.rpc)
  return (await client.status(call)).bytesFetched
}

test('what a cache has comes from a peer, and of a next version only what is missing', async () => {
  const cache = await cacheOf()
  await using node = await neighbourWith('exchange', cache.url)
  expect((await pulled(node, one)).equals(nars.get(one)!), node.log()).toBe(true)
  const forOne = await bytesFetched(node)
  expect(forOne).toBeGreaterThan(LARGE.length)
  expect((await pulled(node, two)).equals(nars.get(two)!), node.log()).toBe(true)
  expect((await bytesFetched(node)) - forOne).toBeLessThan(100_000)
  expect(cache.narBytes()).toBe(0)
})

test('and by gRPC', async () => {
  const [cache, store] = [await cacheOf(), await storeOf()]
  await using node = await nodeWith('grpc', { cache: cache.url, store: store.url })
  expect((await pulled(node, one)).equals(nars.get(one)!), node.log()).toBe(true)
  const forOne = store.bytes()
  expect(forOne).toBeGreaterThan(LARGE.length)
  expect((await pulled(node, two)).equals(nars.get(two)!), node.log()).toBe(true)
  expect(store.bytes() - forOne).toBeLessThan(100_000)
  expect(cache.narBytes()).toBe(0)
})

test('a cache that lies about a root is found out, and its NAR taken', async () => {
  const segment = async (storePath: string): Promise<string> =>
    /snix-castore\/([^?]+)/.exec((await narInfoOf(source, storePath)).url)![1]!
  const turned = new Map([
    [one, await segment(two)],
    [two, await segment(one)],
  ])
  const cache = await cacheOf((storePath) => turned.get(storePath))
  await using node = await neighbourWith('lied-to', cache.url)
  expect(nars.get(one)!.length).toBe(nars.get(two)!.length)
  for (const [storePath, nar] of nars) {
    expect((await pulled(node, storePath)).equals(nar), node.log()).toBe(true)
  }
  expect(cache.narBytes()).toBe(2 * nars.get(one)!.length)
  expect(node.log()).toContain('a castore root was not that of the signed NAR')
  using client = connectNode(node.rpc)
  const [peer] = await client.peers(call)
  expect(peer?.standing).toBe('welcome')
})

test.each([
  ['a root that nobody has', encodeUrlRoot(new FileNode(Digest.of(noise(32, 'x')), 5, false))],
  ['what is no root', 'AAAA'],
])('%s costs no more than a moment', async (what, root) => {
  const cache = await cacheOf(() => root)
  await using node = await neighbourWith(basename(what).replaceAll(' ', '-'), cache.url)
  const begunMs = performance.now()
  expect((await pulled(node, one)).equals(nars.get(one)!), node.log()).toBe(true)
  expect(performance.now() - begunMs).toBeLessThan(10_000)
  expect(cache.narBytes()).toBe(nars.get(one)!.length)
})

test('without anybody who has the root the NAR is taken', async () => {
  const cache = await cacheOf()
  await using node = await nodeWith('alone', { cache: cache.url })
  const begunMs = performance.now()
  expect((await pulled(node, one)).equals(nars.get(one)!), node.log()).toBe(true)
  expect(performance.now() - begunMs).toBeLessThan(10_000)
  expect(cache.narBytes()).toBe(nars.get(one)!.length)
})
