import { describe, expect, test } from 'vitest'
import { renderNar } from '../../../src/nar/render-nar.ts'
import { PROVEN_BLOB_BYTES } from '../../../src/peers/swarm/layout-fetch.ts'
import { SubstitutionError } from '../../../src/substitution/substitution-error.ts'
import * as bad from '../../fixtures/bad-peers.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'

const MIB = 1024 * 1024
const LARGE = noise(48 * MIB, 'large')
const NAR = narOf(
  directory({ large: file(LARGE), medium: file(noise(PROVEN_BLOB_BYTES / 2, 'medium')) }),
)
const { hash } = storePath('path')

/** Beyond this much of a false blob nothing is on its way when the first wrong group is found. */
const NOTICED_BYTES = 16 * MIB

async function holding(misbehaviour?: () => bad.Misbehaviour): Promise<PeerNode> {
  const node = await peerNode()
  await takeIn(node, 'path', inPieces(NAR, [MIB]))
  if (misbehaviour !== undefined) bad.misbehave(node, misbehaviour)
  return node
}

const received = (node: PeerNode, from: PeerNode): number =>
  node.host.traffic.of(from.host.id).received

describe.each([
  { how: 'turns chunk lists round', make: bad.turnsLayouts },
  { how: 'forges outboards', make: bad.forgesOutboards },
  { how: 'cuts outboards', make: bad.cutsOutboards },
])('a peer that $how', ({ how, make }) => {
  test('is found out before the blob is there', async () => {
    await using liar = await holding(make)
    await using asker = await peerNode({ bootstrap: [liar] })
    await connected(liar, asker)
    await expect(asker.substituter.obtain(hash, call)).rejects.toThrow(SubstitutionError)
    expect(asker.ledger.standing(liar.host.id)).toBe('banned')
    // A byte in the middle of an outboard is wrong about the middle of the blob.
    const most = how === 'forges outboards' ? LARGE.length / 2 + NOTICED_BYTES : NOTICED_BYTES
    expect(received(asker, liar)).toBeLessThan(most)
  })

  test('beside an honest one costs little: what it gave is kept', async () => {
    await using liar = await holding(make)
    await using honest = await holding()
    await using asker = await peerNode({ bootstrap: [liar, honest] })
    await Promise.all([connected(liar, asker), connected(honest, asker)])
    const pathInfo = await asker.substituter.obtain(hash, call)
    const rendered = await allBytes(renderNar(pathInfo!.node, asker.castore, call))
    expect(rendered.equals(NAR)).toBe(true)
    expect(received(asker, liar) + received(asker, honest)).toBeLessThan(1.2 * NAR.length)
    expect(asker.ledger.standing(honest.host.id)).toBe('welcome')
  })
})

test('who knows of no outboards is as good as any', async () => {
  await using holder = await holding(bad.leavesOutOutboards)
  await using asker = await peerNode({ bootstrap: [holder] })
  await connected(holder, asker)
  const pathInfo = await asker.substituter.obtain(hash, call)
  const rendered = await allBytes(renderNar(pathInfo!.node, asker.castore, call))
  expect(rendered.equals(NAR)).toBe(true)
})

test('the outboard that came with it is the one that is kept', async () => {
  await using holder = await holding()
  await using asker = await peerNode({ bootstrap: [holder] })
  await connected(holder, asker)
  const pathInfo = await asker.substituter.obtain(hash, call)
  if (pathInfo?.node.type !== 'directory') throw new Error('the root is a directory')
  const root = await asker.castore.directories.get(pathInfo.node.digest, call)
  for (const { node } of root!.entries) {
    if (node.type !== 'file') continue
    const outboard = await asker.castore.blobs.outboard(node.digest, call)
    expect(outboard!.shape.size).toBe(node.size)
    outboard!.verify()
  }
})
