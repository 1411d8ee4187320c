import { expect, test } from 'vitest'
import { renderNar } from '../../../src/nar/render-nar.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { connected, type PeerNode, peerNode, storePath, takeIn } from '../../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'

const MIB = 1024 * 1024
const MEMBERS = 4

/** One large file, and many small ones. */
const NAR = narOf(
  directory({
    large: file(noise(24 * MIB, 'large')),
    small: directory(
      Object.fromEntries(
        Array.from({ length: 600 }, (_, i) => [`${i}`, file(noise(8 * 1024 + i, `small ${i}`))]),
      ),
    ),
  }),
)
const { hash } = storePath('path')

async function seed(): Promise<PeerNode> {
  const node = await peerNode()
  await takeIn(node, 'path', inPieces(NAR, [MIB]))
  return node
}

async function hasAll(node: PeerNode): Promise<boolean> {
  const pathInfo = await node.pathInfos.get(hash, call)
  const rendered = await allBytes(renderNar(pathInfo!.node, node.castore, call))
  return rendered.equals(NAR)
}

/** Nodes that all know each other, and one that has the path. */
async function meeting(stack: AsyncDisposableStack): Promise<[PeerNode, PeerNode[]]> {
  const source = stack.use(await seed())
  const members: PeerNode[] = []
  for (let i = 0; i < MEMBERS; i++) {
    const bootstrap = [source, ...members]
    const member = stack.use(await peerNode({ bootstrap }))
    await Promise.all(bootstrap.map((other) => connected(other, member)))
    members.push(member)
  }
  return [source, members]
}

test('those who fetch the same at once have most of it from each other', async () => {
  await using stack = new AsyncDisposableStack()
  const [source, members] = await meeting(stack)
  await Promise.all(members.map((member) => member.substituter.obtain(hash, call)))
  for (const member of members) expect(await hasAll(member)).toBe(true)
  expect(source.server.bytesServed).toBeLessThan(2 * NAR.length)
})
