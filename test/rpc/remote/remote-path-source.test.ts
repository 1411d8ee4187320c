import { expect, test } from 'vitest'
import { DirectoryNode, FileNode, SymlinkNode } from '../../../src/castore/model/node.ts'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { ingestNar } from '../../../src/nar/ingest-nar.ts'
import { renderNar } from '../../../src/nar/render-nar.ts'
import { PathInfo } from '../../../src/pathinfo/path-info.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import { RemotePathSource } from '../../../src/rpc/remote/remote-path-source.ts'
import { FetchProgress } from '../../../src/substitution/fetch-progress.ts'
import type { ContentOffer } from '../../../src/substitution/path-source.ts'
import { ownClaim, pathNamed } from '../../fixtures/claims.ts'
import { allBytes, call, noise } from '../../fixtures/content.ts'
import { directory, file, inPieces, narOf } from '../../nar/trees.ts'
import { testNode } from '../test-node.ts'

const NAR = narOf(directory({ large: file(noise(2_000_000, 'far')), small: file('small') }))

async function world() {
  const node = await testNode()
  const channel = new RemoteChannel({ clock: systemClock }, { address: node.address })
  const source = new RemotePathSource({ channel }, { name: 'far', priority: 30 })
  const offers = async (hash: Uint8Array): Promise<ContentOffer[]> => {
    const found: ContentOffer[] = []
    for await (const offer of source.find(hash, call)) found.push(offer)
    return found
  }
  return {
    node,
    source,
    offers,
    [Symbol.asyncDispose]: async () => {
      channel[Symbol.dispose]()
      await node[Symbol.asyncDispose]()
    },
  }
}

test('a path of another store is offered, and its content comes chunk by chunk', async () => {
  await using it = await world()
  const ingested = await ingestNar(inPieces(NAR, [1 << 16]), it.node.castore, call)
  const storePath = pathNamed('far')
  const pathInfo = new PathInfo({ storePath, references: [], ...ingested })
  await it.node.pathInfos.put([ownClaim(pathInfo)], call)
  const [offer] = await it.offers(storePath.hash)
  expect(offer!.claim.origin).toBe('stranger')
  const into = recordCastore({ records: new MemoryRecordStore() })
  const progress = new FetchProgress()
  await offer!.fetch(into, progress, call)
  expect((await allBytes(renderNar(pathInfo.node, into, call))).equals(NAR)).toBe(true)
  expect(progress).toMatchObject({ filesTotal: 2, filesDone: 2, bytesTotal: 2_000_005 })
  expect(progress.bytesFetched).toBe(2_000_005)
  expect([...progress.peers]).toEqual(['far'])
})

test('a root that it has is brought, whatever paths it knows', async () => {
  await using it = await world()
  const { node } = await ingestNar(inPieces(NAR, [1 << 16]), it.node.castore, call)
  const offer = await it.source.findRoot(node, NAR.length, call)
  const into = recordCastore({ records: new MemoryRecordStore() })
  const progress = new FetchProgress()
  const shown: number[] = []
  const onDirectories = async (directories: readonly unknown[]): Promise<void> => {
    shown.push(directories.length)
  }
  await offer!.fetch(into, { progress, onDirectories }, call)
  expect(shown).toEqual([1])
  expect((await allBytes(renderNar(node, into, call))).equals(NAR)).toBe(true)
  expect(progress).toMatchObject({ directoriesFetched: 1, bytesFetched: 2_000_005 })
})

test('a root that it does not have is none', async () => {
  await using it = await world()
  const digest = Digest.ofContent(Buffer.from('nowhere'))
  for (const root of [
    new DirectoryNode(digest, 1),
    new FileNode(digest, 7, false),
    new SymlinkNode(Buffer.from('x')),
  ]) {
    expect(await it.source.findRoot(root, 100, call)).toBeUndefined()
  }
})

test('what it does not have is no offer, and no fault', async () => {
  await using it = await world()
  expect(await it.offers(pathNamed('nowhere').hash)).toEqual([])
  await it.source.probe(call)
})

test('one that is not there is a fault', async () => {
  const channel = new RemoteChannel({ clock: systemClock }, { address: '127.0.0.1:1' })
  const source = new RemotePathSource({ channel }, { name: 'gone', priority: 30 })
  await expect(source.probe(call)).rejects.toThrow('127.0.0.1:1')
  channel[Symbol.dispose]()
})
