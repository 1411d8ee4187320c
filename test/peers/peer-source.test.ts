import { expect, test } from 'vitest'
import { renderNar } from '../../src/nar/render-nar.ts'
import { NEIGHBOUR_MS_MAX } from '../../src/peers/patience.ts'
import { PROVEN_BYTES } from '../../src/peers/standing/promptness.ts'
import { FetchProgress } from '../../src/substitution/fetch-progress.ts'
import type { ContentOffer } from '../../src/substitution/path-source.ts'
import { until } from '../fixtures/await-peers.ts'
import { goesSilent, misbehave } from '../fixtures/bad-peers.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf, symlink, type Tree } from '../nar/trees.ts'

const MIB = 1024 * 1024

async function expectSame(tree: Tree, from: PeerNode, to: PeerNode, name: string): Promise<void> {
  const nar = narOf(tree)
  await takeIn(from, name, inPieces(nar, [MIB]))
  const pathInfo = await to.substituter.obtain(storePath(name).hash, call)
  expect(pathInfo?.narSize).toBe(nar.length)
  const rendered = await allBytes(renderNar(pathInfo!.node, to.castore, call))
  expect(rendered.equals(nar)).toBe(true)
}

const manyFiles = directory(
  Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`f${i}`, file(noise(i % 700, i), i % 2 === 0)]),
  ),
)

const TREES: Record<string, Tree> = {
  'an-empty-file': file(''),
  'one-byte': file('x'),
  'one-chunk': file(noise(128 * 1024, 'one chunk')),
  'some-chunks': file(noise(5 * MIB, 'some chunks'), true),
  'many-chunks': file(noise(40 * MIB, 'many chunks')),
  'a-symlink': symlink('/nix/store/elsewhere'),
  'an-empty-directory': directory({}),
  'many-files': manyFiles,
  nested: directory({
    a: directory({ b: directory({ c: directory({ deep: file('deep') }) }) }),
    same: directory({ x: file(noise(3 * MIB, 'x')), y: file(noise(3 * MIB, 'x')) }),
    link: symlink('a/b'),
    zeros: file(Buffer.alloc(6 * MIB)),
  }),
}

test.each(['memory', 'segments'] as const)(
  'two nodes that keep their content in %s: all kinds of trees cross the network',
  async (storage) => {
    await using a = await peerNode({ storage })
    await using b = await peerNode({ storage, bootstrap: [a] })
    await connected(a, b)
    for (const [name, tree] of Object.entries(TREES)) await expectSame(tree, a, b, name)
  },
)

test('what was fetched is served on, when the first holder has gone', async () => {
  const a = await peerNode()
  await using b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  await expectSame(manyFiles, a, b, 'passed-on')
  await a[Symbol.asyncDispose]()
  await using c = await peerNode({ bootstrap: [b] })
  await connected(b, c)
  const pathInfo = await c.substituter.obtain(storePath('passed-on').hash, call)
  const rendered = await allBytes(renderNar(pathInfo!.node, c.castore, call))
  expect(rendered.equals(narOf(manyFiles))).toBe(true)
})

test('two holders both take part in one large fetch', async () => {
  await using a = await peerNode()
  await using b = await peerNode()
  await using c = await peerNode({ bootstrap: [a, b] })
  await Promise.all([connected(a, c), connected(b, c)])
  const tree = file(noise(40 * MIB, 'shared load'))
  const nar = narOf(tree)
  await takeIn(a, 'shared-load', inPieces(nar, [MIB]))
  await expectSame(tree, b, c, 'shared-load')
  for (const node of [a, b]) expect(node.server.bytesServed).toBeGreaterThan(MIB)
})

test('a path that is not shared is not there for others', async () => {
  await using a = await peerNode({ secretKey: undefined })
  await using b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  await takeIn(a, 'private', inPieces(narOf(file('mine')), [MIB]))
  expect(await b.substituter.describe(storePath('private').hash, call)).toBeUndefined()
  expect(await b.substituter.obtain(storePath('private').hash, call)).toBeUndefined()
})

test('an offer is doubtful once none of its holders is welcome any more', async () => {
  await using a = await peerNode()
  await using b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  const { storePath } = await takeIn(a, 'doubted', inPieces(narOf(file('x')), [MIB]))
  const [offer] = (await collect(b.source.find(storePath.hash, call))) as [ContentOffer]
  expect(offer.isDoubtful).toBe(false)
  b.ledger.report(a.host.id, 'stalled', 'it said nothing')
  expect(offer.isDoubtful).toBe(true)
})

test('an offer is doubtful once its holders have wasted time, and so is the source', async () => {
  await using a = await peerNode()
  await using b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  const { storePath } = await takeIn(a, 'slow', inPieces(narOf(file('x')), [MIB]))
  const [offer] = (await collect(b.source.find(storePath.hash, call))) as [ContentOffer]
  offer.tooSlow!() // it was not asked for anything, and so it is not what is waited for
  expect([offer.isDoubtful, b.source.isDoubtful]).toEqual([false, false])
  offer.turnDown('forged')
  expect([offer.isDoubtful, b.source.isDoubtful]).toEqual([true, true])
  expect(b.ledger.standing(a.host.id)).toBe('welcome')
})

test('a peer that brings no content that is waited for is noted, and asked last', async () => {
  await using a = await peerNode()
  await using b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  const { storePath } = await takeIn(a, 'silent', inPieces(narOf(file('x')), [MIB]))
  misbehave(a, goesSilent)
  const [offer] = (await collect(b.source.find(storePath.hash, call))) as [ContentOffer]
  const leaving = new AbortController()
  const fetching = offer.fetch(b.castore, new FetchProgress(), leaving).catch(() => undefined)
  await until(() => {
    offer.tooSlow!()
    return offer.isDoubtful === true
  })
  expect(b.ledger.standing(a.host.id)).toBe('welcome')
  leaving.abort()
  await fetching
})

test('a path is named where a filter says so of who has brought much', async () => {
  await using a = await peerNode()
  await using b = await peerNode({ bootstrap: [a] })
  await connected(a, b)
  const { storePath } = await takeIn(a, 'named', inPieces(narOf(file('x')), [MIB]))
  await until(() => b.filters.mayHave(a.host.id, storePath.hash) && b.filters.has(a.host.id))
  expect(b.source.isNamed(storePath.hash)).toBe(false)
  b.ledger.brought(a.host.id, PROVEN_BYTES)
  expect(b.source.isNamed(storePath.hash)).toBe(true)
  expect(b.source.isNamed(pathNamed('not-there').hash)).toBe(false)
  b.ledger.report(a.host.id, 'stalled', 'it keeps silent')
  expect(b.source.isNamed(storePath.hash)).toBe(false)
})

test('nobody who asks again waits for a neighbour that keeps silent', async () => {
  await using silent = await peerNode()
  await using honest = await peerNode({ bootstrap: [silent] })
  await using b = await peerNode({ bootstrap: [silent, honest] })
  misbehave(silent, goesSilent)
  await Promise.all([connected(silent, b), connected(honest, b)])
  await until(() => b.filters.has(honest.host.id))
  const describe = () => b.substituter.describe(storePath('missing').hash, call)
  expect(await describe()).toBeUndefined() // it may be waited for once
  await until(() => b.patience.isSilent(silent.host.id))
  await describe() // remembered as missing, or looked for anew
  const begunMs = performance.now()
  for (let i = 0; i < 5; i++) expect(await describe()).toBeUndefined()
  expect(performance.now() - begunMs).toBeLessThan(NEIGHBOUR_MS_MAX)
})

test('a path that nobody has is looked for no longer than somebody may answer', async () => {
  await using alone = await peerNode()
  expect(await alone.substituter.obtain(storePath('nobody-has-it').hash, call)).toBeUndefined()
  await using asker = await peerNode({ bootstrap: [alone] })
  await connected(alone, asker)
  expect(await asker.substituter.obtain(storePath('nobody-has-it').hash, call)).toBeUndefined()
})
