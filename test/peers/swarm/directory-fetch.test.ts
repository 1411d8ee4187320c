import { expect, test } from 'vitest'
import { renderNar } from '../../../src/nar/render-nar.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'

const FOLDERS = 200

/** A tree of many folders; in the next version one of them is another. */
function treeOf(version: number): Buffer {
  const folder = (name: string) => directory({ file: file(noise(20, name)) })
  const folders = Array.from({ length: FOLDERS }, (_, i) => [`${i}`, folder(`${i}`)] as const)
  const deep = directory({ all: directory(Object.fromEntries(folders)) })
  return narOf(directory({ deep, changed: folder(`version ${version}`) }))
}

async function take(node: PeerNode, name: string, version: number): Promise<void> {
  await takeIn(node, name, inPieces(treeOf(version), [65_536]))
}

async function obtained(node: PeerNode, name: string): Promise<Buffer> {
  const pathInfo = await node.substituter.obtain(storePath(name).hash, call)
  return await allBytes(renderNar(pathInfo!.node, node.castore, call))
}

test('of a next version only those Directories come that are other ones', async () => {
  await using holder = await peerNode()
  await using asker = await peerNode({ bootstrap: [holder] })
  await take(holder, 'first', 1)
  await take(holder, 'second', 2)
  await connected(holder, asker)
  const received = (): number => asker.host.traffic.of(holder.host.id).received
  expect((await obtained(asker, 'first')).equals(treeOf(1))).toBe(true)
  const forFirst = received()
  expect((await obtained(asker, 'second')).equals(treeOf(2))).toBe(true)
  const forSecond = received() - forFirst
  expect(forFirst).toBeGreaterThan(FOLDERS * 60)
  expect(forSecond).toBeLessThan(2_500)
})
