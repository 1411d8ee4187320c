import { expect, test } from 'vitest'
import { FileNode, type Node } from '../../src/castore/model/node.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { Announcer } from '../../src/peers/announcer.ts'
import type { AnswerItem } from '../../src/peers/exchange/exchange-session.ts'
import type { Want } from '../../src/peers/exchange/want.ts'
import { MemoryRouter } from '../../src/peers/routing/memory-router.ts'
import { pathKey } from '../../src/peers/routing/routing-key.ts'
import { until } from '../fixtures/await-peers.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call, collect, noise } from '../fixtures/content.ts'
import { connected, HOUSE_KEY, type PeerNode, peerNode, takeIn } from '../fixtures/peer-node.ts'
import { directory, file, inPieces, narOf, type Tree } from '../nar/trees.ts'

const COMMON = noise(600_000, 'common')
const SECRET = noise(600_000, 'secret')
const PRIVATE = directory({ common: file(COMMON), inner: directory({ secret: file(SECRET) }) })
const SHARED = directory({ common: file(COMMON), open: file('open') })

const nar = (tree: Tree) => inPieces(narOf(tree), [100_000])

/** What a peer is answered, as it comes over the network. */
async function answersTo(asker: PeerNode, holder: PeerNode, want: Want): Promise<AnswerItem[]> {
  const answers: AnswerItem[] = []
  const onAnswer = (answer: AnswerItem): void => void answers.push(answer)
  await asker.client.ask(holder.host.id, { want, bytes: 1_000_000, onAnswer }, call)
  return answers
}

/** Every digest below a root: those of Directories, of blobs and of chunks. */
async function digestsBelow(node: PeerNode, root: Node) {
  const { castore } = node
  if (root.type !== 'directory') throw new Error('it is a directory')
  const directories = await collect(castore.directories.closure(root.digest, call))
  const files = directories.flatMap(({ entries }) =>
    entries.flatMap(({ node: it }) => (it instanceof FileNode ? [it.digest] : [])),
  )
  const layouts = await castore.blobs.layouts(files, call)
  const chunks = layouts.flatMap((layout) => layout!.map(({ digest }) => digest))
  return { directories: directories.map(({ digest }) => digest), files, chunks }
}

function wantsFor(hash: Uint8Array, found: Awaited<ReturnType<typeof digestsBelow>>): Want[] {
  return [
    { type: 'path-infos', hashes: [hash] },
    ...found.directories.map((root): Want => ({ type: 'closure', root })),
    { type: 'layouts', digests: found.files },
    { type: 'layouts', digests: found.files, outboards: true },
    { type: 'chunks', digests: found.chunks },
  ]
}

test('a peer that knows every digest of a private path learns no more than of unknown ones', async () => {
  const secretKey = undefined // what its owner puts in is signed by nobody
  await using holder = await peerNode({ secretKey })
  await using asker = await peerNode({ bootstrap: [holder] })
  await connected(holder, asker)
  const own = await takeIn(holder, 'private', nar(PRIVATE))
  const found = await digestsBelow(holder, own.node)
  const unknown = (digests: readonly Digest[]) =>
    digests.map(({ hex }) => Digest.of(noise(32, `not ${hex}`)))
  const others = {
    directories: unknown(found.directories),
    files: unknown(found.files),
    chunks: unknown(found.chunks),
  }
  const wants = wantsFor(own.storePath.hash, found)
  for (const [i, want] of wantsFor(pathNamed('unknown').hash, others).entries()) {
    const answers = await answersTo(asker, holder, wants[i]!)
    expect(answers).toEqual(await answersTo(asker, holder, want))
    expect(answers.map(({ type }) => type)).toEqual(['absent'])
  }
  expect(await asker.substituter.obtain(own.storePath.hash, call)).toBeUndefined()
  // Its owner lets go of it, by word alone, and takes that back.
  await holder.sharing.choose([own.storePath], true, call)
  for (const want of wants) {
    expect((await answersTo(asker, holder, want))[0]?.type).not.toBe('absent')
  }
  await holder.sharing.choose([own.storePath], false, call)
  for (const want of wants) {
    expect((await answersTo(asker, holder, want)).map(({ type }) => type)).toEqual(['absent'])
  }
})

test('a path that has a file in common with a shared one gives away that file only', async () => {
  await using holder = await peerNode({ secretKey: undefined })
  await using signer = await peerNode({ secretKey: HOUSE_KEY })
  await connected(holder, await connectedTo(signer, holder))
  const own = await takeIn(holder, 'private', nar(PRIVATE))
  const shared = await takeIn(signer, 'shared', nar(SHARED))
  expect(await holder.substituter.obtain(shared.storePath.hash, call)).toBeDefined()
  await holder.shared.tells(shared, call)
  const { files, directories } = await digestsBelow(holder, own.node)
  const told = await answersTo(signer, holder, { type: 'layouts', digests: files })
  const indices = told.flatMap((it) => (it.type === 'layout' ? [it.index] : []))
  expect(indices.map((i) => files[i]!.hex)).toEqual([Digest.ofContent(COMMON).hex])
  for (const root of directories) {
    const answers = await answersTo(signer, holder, { type: 'closure', root })
    expect(answers.map(({ type }) => type)).toEqual(['absent'])
  }
})

/** Connects one node with another, and says which. */
async function connectedTo(node: PeerNode, other: PeerNode): Promise<PeerNode> {
  await node.host.connect({ id: other.host.id, addresses: other.host.addresses }, call)
  return node
}

test('what is not shared is not announced, and what is not any more is taken back', async () => {
  await using node = await peerNode({ secretKey: undefined })
  const routes = new Map()
  const router = new MemoryRouter({ routes, self: { id: node.host.id, addresses: [] } })
  const seeker = new MemoryRouter({ routes, self: { id: 'seeker', addresses: [] } })
  const own = await takeIn(node, 'private', nar(PRIVATE))
  const { pathInfos, castore, share } = node
  const ports = { clock: systemClock, log: silentLog }
  const announcer = new Announcer({ router, pathInfos, castore, share, ...ports })
  await announcer.start()
  const isFound = async (): Promise<boolean> =>
    (await collect(seeker.holders(pathKey(own.storePath.hash), call))).length > 0
  await node.sharing.choose([own.storePath], true, call)
  await until(isFound)
  await node.sharing.choose([own.storePath], false, call)
  await until(async () => !(await isFound()))
  expect(announcer.progress.waiting).toBe(0)
  await node.sharing.choose([own.storePath], true, call)
  await until(isFound)
  await pathInfos.remove([own.storePath.hash], call)
  await until(async () => !(await isFound()))
  await announcer.stop()
})
