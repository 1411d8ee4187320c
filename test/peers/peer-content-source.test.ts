import { expect, test } from 'vitest'
import { Digest } from '../../src/foundation/digest.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { renderNar } from '../../src/nar/render-nar.ts'
import { PeerContentSource } from '../../src/peers/peer-content-source.ts'
import * as bad from '../fixtures/bad-peers.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { connected, type PeerNode, peerNode, takeIn } from '../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../nar/trees.ts'

const LARGE = noise(3_000_000, 'large')
const nar = narOf(directory({ large: file(LARGE), a: directory({ small: file('small') }) }))
const SMALL = Digest.ofContent(Buffer.from('small'))

function sourceOf(node: PeerNode): PeerContentSource {
  const { castore, client, ledger, host: network } = node
  const ports = { clock: systemClock, random: systemRandom, log: silentLog }
  return new PeerContentSource({ castore, client, ledger, network, ...ports })
}

async function holder(): Promise<{ node: PeerNode; root: Digest }> {
  const node = await peerNode()
  const { node: root } = await takeIn(node, 'path', inPieces(nar, [100_000]))
  if (root.type !== 'directory') throw new Error('the root is a directory')
  return { node, root: root.digest }
}

test('blobs and Directories come from a neighbour by their digests alone', async () => {
  const { node, root } = await holder()
  await using _a = node
  await using b = await peerNode({ bootstrap: [node] })
  await connected(node, b)
  const source = sourceOf(b)
  for (const digest of [Digest.ofContent(LARGE), SMALL]) {
    expect(await source.fetchBlob({ digest }, b.castore, call)).toBe(true)
  }
  expect(await source.fetchDirectories(root, b.castore, call)).toBe(true)
  const top = await b.castore.directories.get(root, call)
  const path = { type: 'directory', digest: root, size: top!.size } as const
  expect((await allBytes(renderNar(path, b.castore, call))).equals(nar)).toBe(true)
})

test('a part of a neighbour’s blob is read by its digest alone', async () => {
  const { node } = await holder()
  await using _a = node
  await using b = await peerNode({ bootstrap: [node] })
  await connected(node, b)
  const reader = await sourceOf(b).openBlob({ digest: Digest.ofContent(LARGE) }, b.castore, call)
  expect(reader!.size).toBe(LARGE.length)
  const part = await allBytes(reader!.read(1_234_567, call, 1000))
  expect(part.equals(LARGE.subarray(1_234_567, 1_235_567))).toBe(true)
  expect(
    await sourceOf(b).openBlob({ digest: Digest.of(noise(32)) }, b.castore, call),
  ).toBeUndefined()
})

test('what no neighbour has is absent', async () => {
  const { node } = await holder()
  await using _a = node
  await using b = await peerNode({ bootstrap: [node] })
  const source = sourceOf(b)
  const nowhere = Digest.ofContent(noise(9, 'nowhere'))
  expect(await source.fetchBlob({ digest: nowhere }, b.castore, call)).toBe(false) // nobody is there yet
  await connected(node, b)
  expect(await source.fetchBlob({ digest: nowhere }, b.castore, call)).toBe(false)
  expect(await source.fetchDirectories(nowhere, b.castore, call)).toBe(false)
})

test('of two who disagree about a blob, the one who is wrong loses', async () => {
  const { node } = await holder()
  await using honest = node
  const { node: other } = await holder()
  await using liar = other
  bad.misbehave(liar, bad.halvesLayouts)
  await using b = await peerNode({ bootstrap: [honest, liar] })
  await Promise.all([connected(honest, b), connected(liar, b)])
  expect(await sourceOf(b).fetchBlob({ digest: Digest.ofContent(LARGE) }, b.castore, call)).toBe(
    true,
  )
  expect(b.ledger.standing(honest.host.id)).toBe('welcome')
})

test('a liar alone is of no use, and nothing of it is taken for the blob', async () => {
  const { node } = await holder()
  await using liar = node
  bad.misbehave(liar, bad.flipsBytes)
  await using b = await peerNode({ bootstrap: [liar] })
  await connected(liar, b)
  expect(await sourceOf(b).fetchBlob({ digest: SMALL }, b.castore, call)).toBe(false)
  expect((await b.castore.blobs.layouts([SMALL], call))[0]).toBeUndefined()
  expect(b.ledger.standing(liar.host.id)).toBe('banned')
})
