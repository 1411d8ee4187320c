import { credentials, type ServiceError, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { NodeServiceClient } from '../../src/generated/cairn/node/v1/node.ts'
import { renderSignature } from '../../src/nix/signature.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { NodeClient, NodeClientError } from '../../src/rpc/node-client.ts'
import type { ContentOffer, Offer, PathSource } from '../../src/substitution/path-source.ts'
import { until } from '../fixtures/await-peers.ts'
import { KEYS, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, collect, noise } from '../fixtures/content.ts'
import { narOf, SMALL } from '../nar/trees.ts'
import { PEERS, SOURCES, STATUS, testNode } from './test-node.ts'

/** A source whose offers come from a list and whose content never arrives. */
class WaitingSource implements PathSource {
  readonly name = 'waiting'
  readonly priority = 0
  fetching = 0
  left = 0
  readonly #offers: readonly ContentOffer['claim'][]

  constructor(_components: object, init: { offers: readonly ContentOffer['claim'][] }) {
    this.#offers = init.offers
  }

  async *find(hash: Uint8Array): AsyncGenerator<Offer> {
    for (const claim of this.#offers) {
      if (Buffer.compare(claim.pathInfo.storePath.hash, hash) !== 0) continue
      const fetch: ContentOffer['fetch'] = async (_into, _progress, { signal }) => {
        this.fetching++
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        this.left++
        signal.throwIfAborted()
      }
      yield { kind: 'content', claim, fetch, turnDown: () => undefined }
    }
  }
}

/** gRPC's own status of what a raw call fails with. */
async function statusOf(
  address: string,
  ask: (client: NodeServiceClient, done: (error: ServiceError | null) => void) => unknown,
): Promise<status | undefined> {
  const client = new NodeServiceClient(address, credentials.createInsecure())
  const error = await new Promise<ServiceError | null>((resolve) => ask(client, resolve))
  client.close()
  return error?.code
}

test('status and peers come as they are', async () => {
  await using node = await testNode()
  expect(await node.client.status(call)).toEqual(STATUS)
  expect(await node.client.peers(call)).toEqual(PEERS)
  expect(await node.client.sources(call)).toEqual(SOURCES)
  expect(await node.client.pardon(['one', 'two'], call)).toEqual(['two'])
})

test('what is seeded is pinned, and it is told who has it until that is taken back', async () => {
  await using node = await testNode({ signer: new Signer({ key: KEYS.a }) })
  const { storePath } = await node.client.import('seeded', await node.upload(), call)
  const over = new AbortController()
  const reports = []
  for await (const report of node.client.seed([storePath], over)) {
    reports.push(report)
    if (reports.length === 2) break
  }
  expect(reports[1]).toEqual({
    pathsTotal: 1,
    bytesTotal: narOf(SMALL).length,
    holders: [
      { peer: 'one', pathsHeld: 1, sendRate: 1, receiveRate: 0 },
      { peer: 'two', pathsHeld: 0, sendRate: 0, receiveRate: 0 },
    ],
  })
  expect((await node.client.pins(call)).map((pin) => pin.storePath)).toEqual([storePath])
})

test('what is not here, or not for others, is not seeded', async () => {
  await using unsigned = await testNode()
  const { storePath } = await unsigned.client.import('private', await unsigned.upload(), call)
  const seeding = async (path: string): Promise<void> => {
    for await (const _ of unsigned.client.seed([path], call)) return
  }
  await expect(seeding(storePath)).rejects.toThrow('is not shared with other machines')
  await expect(seeding(storePath.replace('private', 'absent'))).rejects.toThrow()
  expect(await unsigned.client.pins(call)).toEqual([])
})

test('a node is reached by its Unix socket, too', async () => {
  await using node = await testNode({ unix: true })
  expect(node.address).toMatch(/^unix:\//)
  expect(await node.client.status(call)).toEqual(STATUS)
})

test('an uploaded NAR is imported under a name, and described', async () => {
  await using node = await testNode({ signer: new Signer({ key: KEYS.a }) })
  const narSha256 = await node.upload()
  const imported = await node.client.import('some-name', narSha256, call)
  expect(imported).toEqual({
    storePath: expect.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-some-name$/),
    narSize: narOf(SMALL).length,
    shared: true,
  })
  const described = await node.client.describe(imported.storePath, call)
  expect(described).toMatchObject({ narSize: imported.narSize, references: [] })
  expect(described?.ca).toMatch(/^fixed:r:sha256:/)
  expect(described?.rootSignatures).toHaveLength(1)
  expect(await node.client.describe(pathNamed('absent').toString(), call)).toBeUndefined()
})

test('what is asked wrongly is the client’s fault, by gRPC’s own codes', async () => {
  await using node = await testNode()
  const { address } = node.server
  const narSha256 = await node.upload()
  const storePath = pathNamed('absent').toString()
  const nothing = { signatures: [], rootSignatures: [] }
  expect(await statusOf(address, (it, done) => it.describe({ storePath: 'x' }, done))).toBe(
    status.INVALID_ARGUMENT,
  )
  expect(
    await statusOf(address, (it, done) => it.addSignatures({ storePath, ...nothing }, done)),
  ).toBe(status.NOT_FOUND)
  expect(
    await statusOf(address, (it, done) => it.import({ name: 'x', narSha256: noise(32) }, done)),
  ).toBe(status.NOT_FOUND)
  for (const name of ['', 'a/b', 'x'.repeat(300)]) {
    expect(await statusOf(address, (it, done) => it.import({ name, narSha256 }, done))).toBe(
      status.INVALID_ARGUMENT,
    )
  }
  expect(
    await statusOf(address, (it, done) =>
      it
        .fetch({ storePaths: ['x'], closure: true })
        .on('data', () => undefined)
        .on('error', done),
    ),
  ).toBe(status.INVALID_ARGUMENT)
})

test('signatures are added where they verify, or are of a key that is not known here', async () => {
  await using node = await testNode()
  const { pathInfo } = await node.intake.take(pathInfoOf('mine'), call)
  const path = pathInfo.storePath.toString()
  const texts = (key: keyof typeof KEYS) => {
    const { signatures, rootSignatures } = new Signer({ key: KEYS[key] }).sign(pathInfo)
    return { nix: signatures.map(renderSignature), root: rootSignatures.map(renderSignature) }
  }
  const names = async () => {
    const { signatures, rootSignatures } = (await node.client.describe(path, call))!
    return [signatures.map(({ name }) => name), rootSignatures.map(({ name }) => name)]
  }
  const forged = renderSignature({ name: 'a-1', data: noise(64) })
  for (const wrong of [forged, 'a-1', 'a-1:', `a-1:${noise(10).toString('base64')}`, '']) {
    const adding = node.client.addSignatures(path, { nix: [wrong], root: [] }, call)
    await expect(adding).rejects.toThrow(NodeClientError)
    expect(await names()).toEqual([[], []])
  }
  expect(
    await statusOf(node.server.address, (it, done) =>
      it.addSignatures({ storePath: path, signatures: [forged], rootSignatures: [] }, done),
    ),
  ).toBe(status.INVALID_ARGUMENT)
  await node.client.addSignatures(path, texts('b'), call)
  await node.client.addSignatures(path, texts('a'), call)
  expect(await names()).toEqual([
    ['b-1', 'a-1'],
    ['b-1', 'a-1'],
  ])
})

test('a fetch tells what became of each path', async () => {
  await using node = await testNode()
  const { pathInfo } = await node.intake.take(pathInfoOf('mine'), call)
  const paths = [pathInfo.storePath, pathNamed('absent')].map(String)
  const reports = await collect(node.client.fetch(paths, { closure: false }, call))
  const outcomes = reports.flatMap(({ outcome }) => (outcome === undefined ? [] : [outcome]))
  expect(outcomes).toHaveLength(2)
  expect(outcomes).toContainEqual({ storePath: paths[0], held: true, error: undefined })
  expect(outcomes).toContainEqual({
    ...{ storePath: paths[1], held: false },
    error: expect.stringContaining('nobody who is reached has'),
  })
  expect(reports.at(-1)).toMatchObject({ pathsTotal: 2, pathsDone: 2 })
  const closure = await collect(node.client.fetch([paths[0]!], { closure: true }, call))
  expect(closure.at(-1)).toMatchObject({ pathsTotal: 2, pathsDone: 2 }) // and its reference
})

test('a client that leaves ends the fetch behind it', async () => {
  const pathInfo = new Signer({ key: KEYS.a }).sign(pathInfoOf('wanted'))
  const source = new WaitingSource({}, { offers: [{ pathInfo, origin: 'stranger' }] })
  await using node = await testNode({ source })
  const abort = new AbortController()
  const reason = new Error('no longer wanted')
  const path = pathInfo.storePath.toString()
  const fetching = collect(node.client.fetch([path], { closure: false }, { signal: abort.signal }))
  await until(() => source.fetching === 1)
  abort.abort(reason)
  await expect(fetching).rejects.toBe(reason)
  await until(() => source.left === 1)
  for await (const _ of node.client.fetch([path], { closure: false }, call)) {
    if (source.fetching === 2) break
  }
  await until(() => source.left === 2)
})

test('a call that is aborted already asks nothing', async () => {
  await using node = await testNode()
  const reason = new Error('too late')
  const late = { signal: AbortSignal.abort(reason) }
  await expect(node.client.status(late)).rejects.toBe(reason)
  await expect(collect(node.client.fetch([], { closure: true }, late))).rejects.toBe(reason)
})

test('where no node answers, the client says so', async () => {
  const node = await testNode()
  const { address } = node.server
  await node[Symbol.asyncDispose]()
  using client = new NodeClient({}, { address })
  const error = await client.status(call).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(NodeClientError)
  expect(error.unreachable).toBe(true)
  expect(error.message).toContain(`no cairn node answers at ${address}`)
})
