import { expect, test } from 'vitest'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { asFinal, TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { Announcer, type AnnouncerInit, FRESH_AT_ONCE } from '../../src/peers/announcer.ts'
import { PeerSource } from '../../src/peers/peer-source.ts'
import type { Router } from '../../src/peers/routing/router.ts'
import { directoryKey, pathKey } from '../../src/peers/routing/routing-key.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { until } from '../fixtures/await-peers.ts'
import { call, noise } from '../fixtures/content.ts'
import {
  connected,
  HOUSE_KEY,
  type PeerNode,
  peerNode,
  storePath,
  takeIn,
} from '../fixtures/peer-node.ts'
import { watched } from '../fixtures/watched.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const nar = narOf(directory({ a: file(noise(500_000, 'far')), b: file('near') }))
const whole = (): AsyncIterable<Uint8Array> => inPieces(nar, [65_536])

type Announcing = Announcer & AsyncDisposable

async function announcing(
  node: PeerNode,
  router: Router = node.router,
  init: AnnouncerInit = {},
): Promise<Announcing> {
  const { pathInfos, castore, share } = node
  const ports = { clock: systemClock, log: silentLog }
  const announcer = new Announcer({ router, pathInfos, castore, share, ...ports }, init)
  await announcer.start()
  return Object.assign(announcer, { [Symbol.asyncDispose]: () => announcer.stop() })
}

/** The node's substituter, as if only `neighbours` were connected when they are asked. */
function substituterAmong(node: PeerNode, neighbours: readonly PeerNode[]): Substituter {
  const { host, castore, client, ledger, router, asker, patience, pathInfos, swarms } = node
  const ids = neighbours.map((it) => it.host.id)
  const network = {
    connected: () => host.connected().filter(({ id }) => ids.includes(id)),
    connect: host.connect.bind(host),
    openChannel: host.openChannel.bind(host),
    onChannel: host.onChannel.bind(host),
    onConnect: host.onConnect.bind(host),
    disconnect: host.disconnect.bind(host),
  }
  const base = { castore, clock: systemClock, log: silentLog }
  const source = new PeerSource({
    ...{ ...base, client, ledger, random: systemRandom, network, router, asker, patience },
    ...{ self: host.id, swarms },
  })
  const trust = new TrustPolicy({}, { trustedKeys: [HOUSE_KEY.publicKey()] })
  return new Substituter({ ...base, pathInfos, trust, sources: watched(source) })
}

test('a path that no neighbour has is found by the DHT', async () => {
  await using bootstrap = await peerNode()
  await using holder = await peerNode({ bootstrap: [bootstrap] })
  await using asker = await peerNode({ bootstrap: [bootstrap] })
  await Promise.all([connected(bootstrap, holder), connected(bootstrap, asker)])
  await takeIn(holder, 'before', whole())
  await using announcer = await announcing(holder)
  await takeIn(holder, 'after', whole())
  await until(() => !announcer.progress.isHurried && announcer.progress.waiting === 0)

  const substituter = substituterAmong(asker, [bootstrap])
  for (const name of ['before', 'after']) {
    const { hash } = storePath(name)
    const found = []
    for await (const peer of asker.router.holders(pathKey(hash), call)) found.push(peer.id)
    expect(found).toEqual([holder.host.id])
    const pathInfo = await substituter.obtain(hash, call)
    expect(pathInfo?.narSize).toBe(nar.length)
  }
  expect(bootstrap.server.bytesServed).toBe(0)
  expect(await substituter.describe(storePath('nowhere').hash, call)).toBeUndefined()
})

test('what is stored and shared is announced, what is not shared is not', async () => {
  await using node = await peerNode({ secretKey: undefined })
  const { announced, router } = recordingRouter()
  await takeIn(node, 'unsigned-before', whole())
  await using announcer = await announcing(node, router, { mode: 'roots' })
  await takeIn(node, 'unsigned-after', whole())
  await using signing = await peerNode()
  const signed = await takeIn(signing, 'signed', whole())
  const trust = new TrustPolicy({}, { trustedKeys: [] })
  const claim = asFinal(trust.admit({ pathInfo: signed, origin: 'owner' }))
  await node.pathInfos.put([claim!], call)
  const { digest } = signed.node as Extract<typeof signed.node, { type: 'directory' }>
  const expected = [pathKey(signed.storePath.hash), directoryKey(digest)]
  await until(() => announcer.progress.announced >= expected.length)
  expect([...announced].sort()).toEqual(expected.map(hexOf).sort())
})

test('what finds no room among the waiting is announced all the same', async () => {
  await using node = await peerNode()
  const gate = Promise.withResolvers<void>()
  const { announced, router } = recordingRouter(gate.promise)
  const { pathInfos, castore, share } = node
  const ports = { clock: systemClock, log: silentLog }
  const announcer = new Announcer(
    { router, pathInfos, castore, share, ...ports },
    { waitingMax: 4 },
  )
  const names = Array.from({ length: 30 }, (_, i) => `path-${i}`)
  for (const name of names.slice(0, 15)) await takeIn(node, name, whole())
  await announcer.start()
  for (const name of names.slice(15)) await takeIn(node, name, whole())
  expect(announcer.progress.waiting).toBeLessThanOrEqual(4 + FRESH_AT_ONCE)
  gate.resolve()
  await until(() => names.every((it) => announced.has(hexOf(pathKey(storePath(it).hash)))))
  await announcer.stop()
})

/** A router that takes down what is announced, once the gate is open. */
function recordingRouter(gate: Promise<void> = Promise.resolve()) {
  const announced = new Set<string>()
  const router: Router = {
    reach: 1,
    async *holders() {},
    announce: async (keys) => {
      await gate
      for (const key of keys) announced.add(hexOf(key))
      return { keys: keys.length, told: 1, bytes: 100 * keys.length }
    },
    withdraw: async () => undefined,
  }
  return { announced, router }
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}
