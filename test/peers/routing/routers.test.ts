import { expect, test } from 'vitest'
import { Digest } from '../../../src/foundation/digest.ts'
import { MemoryRouter } from '../../../src/peers/routing/memory-router.ts'
import type { Router } from '../../../src/peers/routing/router.ts'
import { blobKey, chunkKey, directoryKey, pathKey } from '../../../src/peers/routing/routing-key.ts'
import { routerContract } from '../../contracts/router-contract.ts'
import { until } from '../../fixtures/await-peers.ts'
import { call, noise } from '../../fixtures/content.ts'
import { connected, peerNode } from '../../fixtures/peer-node.ts'

routerContract('memory', async () => {
  const routes = new Map()
  const end = (id: string) => ({
    id,
    router: new MemoryRouter({ routes, self: { id, addresses: [`memory:${id}`] } }),
  })
  return { a: end('a'), b: end('b'), [Symbol.asyncDispose]: async () => undefined }
})

/** Kademlia takes a moment after a connection before it counts on a node. */
async function takesAnnouncements(router: Router): Promise<boolean> {
  return await router.announce([pathKey(noise(20, 'warm-up'))], call).then(
    () => true,
    () => false,
  )
}

test('announcing to nobody is an error', async () => {
  await using alone = await peerNode()
  await expect(alone.router.announce([pathKey(noise(20))], call)).rejects.toThrow()
})

routerContract('DHT', async () => {
  const a = await peerNode()
  const b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  for (const { router } of [a, b]) await until(() => takesAnnouncements(router))
  return {
    a: { router: a.router, id: a.host.id },
    b: { router: b.router, id: b.host.id },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()])
    },
  }
})

test('keys are 32 bytes that do not give away what they stand for', () => {
  const hash = noise(20, 'path')
  const digest = Digest.of(noise(32, 'directory'))
  for (const [key, secret] of [
    [pathKey(hash), hash],
    [directoryKey(digest), digest.bytes],
    [blobKey(digest), digest.bytes],
    [chunkKey(digest), digest.bytes],
  ] as const) {
    expect(key.length).toBe(32)
    expect(Buffer.from(key).includes(Buffer.from(secret))).toBe(false)
  }
  const names = [directoryKey(digest), blobKey(digest), chunkKey(digest)].map(String)
  expect(new Set(names).size).toBe(3)
  expect(pathKey(noise(20, 'another'))).not.toEqual(pathKey(hash))
})
