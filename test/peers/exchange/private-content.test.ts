import { expect, test } from 'vitest'
import type { Directory } from '../../../src/castore/model/directory.ts'
import type { FileNode } from '../../../src/castore/model/node.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import type { PathInfo } from '../../../src/pathinfo/path-info.ts'
import {
  decodeResponse,
  encodeRequest,
  type IncomingResponse,
} from '../../../src/peers/exchange/exchange-codec.ts'
import { ExchangeServer } from '../../../src/peers/exchange/exchange-server.ts'
import { memoryFrameChannels } from '../../../src/peers/exchange/memory-frame-channel.ts'
import type { Answer, Want } from '../../../src/peers/exchange/want.ts'
import { Swarms } from '../../../src/peers/swarm/swarms.ts'
import { until } from '../../fixtures/await-peers.ts'
import { pathNamed } from '../../fixtures/claims.ts'
import { call, noise } from '../../fixtures/content.ts'
import { nodeOf } from '../../fixtures/directories.ts'
import { type SharingWorldInit, sharingWorld } from '../../fixtures/sharing-world.ts'

/** A store with a shared and a private path, which have one file in common, asked by a peer. */
async function asked(init: SharingWorldInit = {}) {
  const world = await sharingWorld(init)
  const { castore, pathInfos, shared: access, file, directory, put } = world
  const [common, open, secret] = [
    await file(noise(1_000_000, 'common')),
    await file('open'),
    await file(noise(1_000_000, 'secret')),
  ]
  const [publicTop, inner] = [await directory({ common, open }), await directory({ secret })]
  const privateTop = await directory({ common, inner: nodeOf(inner) })
  const shared = await put('shared', nodeOf(publicTop))
  const own = await put('private', nodeOf(privateTop), false)
  await world.caughtUp()

  const offences = { reportError: () => undefined }
  const ports = { clock: systemClock, log: silentLog, offences }
  const server = new ExchangeServer({
    swarms: new Swarms({ clock: systemClock, access }),
    castore,
    pathInfos,
    access,
    ...ports,
  })
  const [near, far] = memoryFrameChannels()
  void server.serve('peer', far)
  const responses: IncomingResponse[] = []
  near.receive((frame) => void responses.push(decodeResponse(frame))).catch(() => undefined)
  let id = 0
  const answersTo = async (want: Want): Promise<Answer[]> => {
    const mine = ++id
    await near.send([encodeRequest(mine, want)])
    const answers = () => responses.filter((it) => it.id === mine).map(({ answer }) => answer)
    await until(() => ['done', 'refused'].includes(answers().at(-1)?.type ?? ''))
    return answers()
  }
  const [layout] = await castore.blobs.layouts([secret.digest], call)
  const chunks = layout!.map(({ digest }) => digest)
  return {
    ...{ ...world, server, answersTo, own, common, open, secret, chunks },
    ...{ sharedPath: shared, publicTop, privateTop, inner },
  }
}

type Asked = Awaited<ReturnType<typeof asked>>

/** Everything that a peer can ask about a path, by exact names. */
function wantsFor(
  path: Pick<PathInfo, 'storePath'>,
  directories: readonly Pick<Directory, 'digest'>[],
  blobs: readonly Pick<FileNode, 'digest'>[],
  chunks: readonly Digest[],
): Want[] {
  const digests = blobs.map(({ digest }) => digest)
  return [
    { type: 'path-infos', hashes: [path.storePath.hash] },
    ...directories.map(({ digest }): Want => ({ type: 'closure', root: digest })),
    { type: 'layouts', digests },
    { type: 'layouts', digests, outboards: true },
    { type: 'chunks', digests },
    { type: 'chunks', digests: chunks },
    { type: 'layouts', digests: chunks },
  ]
}

const privateWants = ({ own, privateTop, inner, secret, chunks }: Asked): Want[] =>
  wantsFor(own, [privateTop, inner], [secret], chunks)

/** The same questions about what nobody has. */
const unknownWants = ({ chunks }: Asked): Want[] => {
  const unknown = (seed: string): { digest: Digest } => ({ digest: Digest.of(noise(32, seed)) })
  const path = { storePath: pathNamed('unknown') }
  const others = chunks.map((_, i) => unknown(`chunk ${i}`).digest)
  return wantsFor(path, [unknown('top'), unknown('inner')], [unknown('blob')], others)
}

async function answersToAll(it: Asked, wants: readonly Want[]): Promise<Answer[][]> {
  const answers: Answer[][] = []
  for (const want of wants) answers.push(await it.answersTo(want))
  return answers
}

test('of a private path a peer learns as little as of one that nobody has', async () => {
  await using it = await asked()
  const answers = await answersToAll(it, privateWants(it))
  expect(answers).toEqual(await answersToAll(it, unknownWants(it)))
  for (const [first, last] of answers) {
    expect(first?.type).toBe('absent')
    expect(last?.type).toBe('done')
  }
  expect(it.server.bytesServed).toBe(0)
})

test('what a private path has in common with a shared one is to be had, and no more', async () => {
  await using it = await asked()
  const { common, secret, chunks, open } = it
  const digests = [common, secret, open].map(({ digest }) => digest)
  const told = await it.answersTo({ type: 'layouts', digests })
  expect(told.map((answer) => (answer.type === 'layout' ? answer.index : answer))).toEqual([
    0,
    2,
    { type: 'absent', indices: [1] },
    { type: 'done' },
  ])
  const { layout } = told[0] as Extract<Answer, { type: 'layout' }>
  const wanted = [...chunks, ...layout.map(({ digest }) => digest)]
  const answers = await it.answersTo({ type: 'chunks', digests: wanted })
  expect(answers[0]).toEqual({ type: 'absent', indices: chunks.map((_, i) => i) })
  const came = answers.flatMap((answer) => (answer.type === 'chunks' ? answer.chunks : []))
  expect(came.map(({ index }) => index)).toEqual(layout.map((_, i) => chunks.length + i))
  const [closure] = await it.answersTo({ type: 'closure', root: it.publicTop.digest })
  expect(closure?.type).toBe('directories')
})

test('the owner’s choice opens and closes all of a path', async () => {
  await using it = await asked()
  const [path] = privateWants(it)
  await it.sharing.choose([it.own.storePath], true, call)
  // Who is told of it can have it at once.
  expect((await it.answersTo(path!))[0]?.type).toBe('path-info')
  for (const [first] of await answersToAll(it, privateWants(it).slice(1, -3))) {
    expect(first?.type).not.toBe('absent')
  }
  await it.sharing.choose([it.own.storePath], false, call)
  const unknown = await answersToAll(it, unknownWants(it))
  expect(await answersToAll(it, privateWants(it))).toEqual(unknown)
  await it.caughtUp()
  expect(await answersToAll(it, privateWants(it))).toEqual(unknown)
})

test('where nothing is shared, nothing is told', async () => {
  await using it = await asked({ rules: { mode: 'none' } })
  const wants = wantsFor(it.sharedPath, [it.publicTop, it.inner], [it.open], it.chunks)
  expect(await answersToAll(it, wants)).toEqual(await answersToAll(it, unknownWants(it)))
})

test('a path that has just come is told of, and can be had', async () => {
  await using it = await asked()
  const files: Record<string, FileNode> = {}
  for (let i = 0; i < 300; i++) files[`f${i}`] = await it.file(`${i}`)
  const root = await it.directory(files)
  const { storePath } = await it.put('new', nodeOf(root))
  const [told] = await it.answersTo({ type: 'path-infos', hashes: [storePath.hash] })
  expect(told?.type).toBe('path-info')
  const digests = Object.values(files).map(({ digest }) => digest)
  const [chunks] = await it.answersTo({ type: 'chunks', digests })
  expect(chunks?.type).toBe('chunks')
})
