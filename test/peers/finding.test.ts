import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { Announcer, type AnnouncerInit } from '../../src/peers/announcer.ts'
import { reachedKeys } from '../../src/peers/announcing/reached-keys.ts'
import { HOLDER_DIAL_MS, Host } from '../../src/peers/host.ts'
import { DHT_MS } from '../../src/peers/path-inquiry.ts'
import { DhtRouter } from '../../src/peers/routing/dht-router.ts'
import { pathKey } from '../../src/peers/routing/routing-key.ts'
import { until } from '../fixtures/await-peers.ts'
import { call, collect, noise } from '../fixtures/content.ts'
import { freePorts } from '../fixtures/daemon-process.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../fixtures/peer-node.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const ports = { clock: systemClock, log: silentLog }

const nar = (seed: string) =>
  inPieces(narOf(directory({ large: file(noise(700_000, seed)), small: file(seed) })), [65_536])

async function announcing(node: PeerNode, init: AnnouncerInit) {
  const announcer = new Announcer({ ...node, ...ports }, init)
  await announcer.start()
  return Object.assign(announcer, { [Symbol.asyncDispose]: () => announcer.stop() })
}

const isDone = ({ progress }: Announcer): boolean => !progress.isHurried && progress.waiting === 0

async function holdersOf(node: PeerNode, key: Uint8Array): Promise<string[]> {
  return (await collect(node.router.holders(key, call))).map(({ id }) => id)
}

/** The keys of what a path reaches. */
async function keysOf(node: PeerNode, name: string): Promise<Uint8Array[]> {
  const pathInfo = await node.pathInfos.get(storePath(name).hash, call)
  return (await collect(reachedKeys(node.castore, pathInfo!.node, () => true, call))).flat()
}

test('in a network of all modes, what is shared and announced is found, and nothing else', async () => {
  await using bootstrap = await peerNode()
  const init = { bootstrap: [bootstrap] }
  await using all = await peerNode(init)
  await using roots = await peerNode(init)
  await using none = await peerNode(init)
  await using secret = await peerNode({ ...init, secretKey: undefined })
  await using seeker = await peerNode(init)
  const holders = { all, roots, none, secret }
  for (const node of [...Object.values(holders), seeker]) await connected(bootstrap, node)
  for (const [name, node] of Object.entries(holders)) await takeIn(node, name, nar(name))
  await using a = await announcing(all, { mode: 'all' })
  await using b = await announcing(roots, { mode: 'roots' })
  await using c = await announcing(none, { mode: 'none' })
  await using d = await announcing(secret, { mode: 'all' })
  await takeIn(all, 'later', nar('later'))
  await until(() => [a, b, d].every(isDone))
  expect(c.progress.announced).toBe(0)
  expect(d.progress.announced).toBe(0)

  for (const name of ['all', 'later']) {
    const keys = await keysOf(all, name)
    expect(keys.length).toBeGreaterThan(5)
    for (const key of [pathKey(storePath(name).hash), ...keys]) {
      await until(async () => (await holdersOf(seeker, key)).includes(all.host.id))
    }
  }
  const ofRoots = await keysOf(roots, 'roots')
  const root = ofRoots[0]! // a Directory's own key comes before those of what is below
  for (const key of [pathKey(storePath('roots').hash), root]) {
    await until(async () => (await holdersOf(seeker, key)).includes(roots.host.id))
  }
  const unknown = [
    ...ofRoots.slice(1),
    ...(await keysOf(none, 'none')),
    ...(await keysOf(secret, 'secret')),
    ...[none, secret].map((_, i) => pathKey(storePath(['none', 'secret'][i]!).hash)),
  ]
  for (const key of unknown) expect(await holdersOf(seeker, key)).toEqual([])
})

test('what is withdrawn is not announced again, by name or by content', async () => {
  await using node = await peerNode({ share: { mode: 'all', allow: [], deny: [] } })
  const announced = new Map<string, number>()
  const router = {
    reach: 1,
    async *holders() {},
    announce: async (keys: readonly Uint8Array[]) => {
      for (const key of keys) {
        const hex = Buffer.from(key).toString('hex')
        announced.set(hex, (announced.get(hex) ?? 0) + 1)
      }
      return { keys: keys.length, told: 1, bytes: 0 }
    },
    withdraw: async () => undefined,
  }
  const timesOf = (key: Uint8Array): number => announced.get(Buffer.from(key).toString('hex')) ?? 0
  await takeIn(node, 'stays', nar('stays'))
  await takeIn(node, 'goes', nar('goes'))
  const going = [pathKey(storePath('goes').hash), ...(await keysOf(node, 'goes'))]
  const staying = [pathKey(storePath('stays').hash), ...(await keysOf(node, 'stays'))]
  const announcer = new Announcer({ ...node, ...ports, router }, { republishMs: 50 })
  await announcer.start()
  await until(() => [...going, ...staying].every((key) => timesOf(key) >= 3))
  await node.pathInfos.remove([storePath('goes').hash], call)
  const before = timesOf(staying[0]!)
  await until(() => timesOf(staying[0]!) >= before + 2)
  const last = going.map(timesOf)
  await until(() => staying.every((key) => timesOf(key) >= before + 5))
  expect(going.map(timesOf)).toEqual(last)
  await announcer.stop()
})

test('when the first server names very many, the others are asked all the same', async () => {
  await using server = await peerNode()
  await using holder = await peerNode({ bootstrap: [server] })
  await using seeker = await peerNode({ bootstrap: [server] })
  await Promise.all([connected(server, holder), connected(server, seeker)])
  const key = noise(32, 'buried')
  await until(() => holder.router.reach > 0 && seeker.router.reach > 0)
  await holder.router.announce([key], call)
  const crowd = await Promise.all(Array.from({ length: 25 }, () => generateKeyPair('Ed25519')))
  const routing = Object.defineProperty(
    Object.create(seeker.host.contentRouting),
    'findProviders',
    {
      value: async function* () {
        for (const { publicKey } of crowd)
          yield { id: peerIdFromPublicKey(publicKey), multiaddrs: [] }
      },
    },
  )
  const router = new DhtRouter({ routing, self: seeker.host.id, clock: systemClock })
  const found = (await collect(router.holders(key, call))).map(({ id }) => id)
  expect(found.length).toBe(26)
  expect(found.at(-1)).toBe(holder.host.id)
})

/** A place that takes connections and says nothing. */
async function blackHole() {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket.on('error', () => undefined)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    address: `/ip4/127.0.0.1/tcp/${port}`,
    dials: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Has somebody who is gone at once named for a path, with addresses where nobody answers. */
async function sybil(server: PeerNode, key: Uint8Array, addresses: string[]): Promise<void> {
  await using node = await peerNode({ bootstrap: [server] })
  await connected(server, node)
  const own = addresses.map((address) => multiaddr(address).bytes)
  const real = node.host.contentRouting
  const routing = Object.defineProperties(Object.create(real), {
    ownAddresses: { value: own },
    closestServers: {
      value: async function* () {
        yield { id: peerIdFromString(server.host.id), multiaddrs: [] }
      },
    },
  })
  const router = new DhtRouter({ routing, self: node.host.id, clock: systemClock })
  await until(() => router.reach > 0)
  await router.announce([key], call)
}

test('twenty names of nobody cost a moment, and the honest holder is found', async () => {
  const path = storePath('wanted')
  const key = pathKey(path.hash)
  await using server = await peerNode()
  await using hole = await blackHole()
  const crowd = Array.from({ length: 20 }, () => sybil(server, key, [hole.address]))
  await Promise.all(crowd)
  await using holder = await peerNode({ bootstrap: [server] })
  await using seeker = await peerNode({ bootstrap: [server] })
  await Promise.all([connected(server, holder), connected(server, seeker)])
  await takeIn(holder, 'wanted', nar('wanted'))
  await using announcer = await announcing(holder, { mode: 'roots' })
  await until(() => isDone(announcer))
  await until(async () => (await holdersOf(seeker, key)).length === 21)
  await seeker.host.disconnect(holder.host.id) // the two may have met by the DHT
  const begunMs = performance.now()
  expect(await seeker.substituter.obtain(path.hash, call)).toBeDefined()
  expect(performance.now() - begunMs).toBeLessThan(2 * DHT_MS + 1_000)
})

test('a place where packets get lost costs one short wait, and is remembered', async () => {
  await using node = await peerNode()
  await using hole = await blackHole()
  const { publicKey } = await generateKeyPair('Ed25519')
  const nobody = { id: peerIdFromPublicKey(publicKey).toString(), addresses: [hole.address] }
  const begunMs = performance.now()
  await expect(node.host.connect(nobody, call)).rejects.toThrow('can not be reached')
  expect(performance.now() - begunMs).toBeLessThan(HOLDER_DIAL_MS + 500)
  expect(hole.dials()).toBe(1)
  const againMs = performance.now()
  for (let i = 0; i < 10; i++) await expect(node.host.connect(nobody, call)).rejects.toThrow()
  expect(performance.now() - againMs).toBeLessThan(2 * HOLDER_DIAL_MS)
  expect(hole.dials()).toBe(1)
})

async function hostAt(path: string, identity: PrivateKey, bootstrap: readonly string[]) {
  const isBanned = (): boolean => false
  const host = await Host.open(
    { ...ports, identity, datastorePath: path, isBanned },
    { listen: ['/ip4/127.0.0.1/tcp/0'], bootstrap, mdns: false },
  )
  await host.start()
  return host
}

test('what others announced is told after a restart, with the addresses to go to', async () => {
  await using directory = await temporaryDirectory()
  const identity = await generateKeyPair('Ed25519')
  const path = join(directory.path, 'libp2p')
  const key = noise(32, 'announced')
  let server = await hostAt(path, identity, [])
  const holder = await peerNode({ holes: server.addresses })
  await until(() => holder.router.reach > 0)
  expect((await holder.router.announce([key], call)).told).toBe(1)
  const holderAt = { id: holder.host.id, addresses: holder.host.addresses }
  await holder[Symbol.asyncDispose]()
  await server.stop()
  server = await hostAt(path, identity, [])
  await using seeker = await peerNode({ holes: server.addresses })
  await until(() => seeker.router.reach > 0)
  const [found] = await collect(seeker.router.holders(key, call))
  expect(found?.id).toBe(holderAt.id)
  expect(found?.addresses.length).toBeGreaterThan(0)
  for (const address of found!.addresses) expect(holderAt.addresses.join()).toContain(address)
  await server.stop()
})

test('nodes that are started before the one that they all know meet by it', async () => {
  const [port] = await freePorts(1)
  const listen = `/ip4/127.0.0.1/tcp/${port}`
  await using a = await peerNode({ holes: [listen] })
  await using b = await peerNode({ holes: [listen] })
  await sleep(1_500) // the DHT looks for others by itself a second after the start
  await using _known = await peerNode({ listen })
  await connected(a, b)
})
