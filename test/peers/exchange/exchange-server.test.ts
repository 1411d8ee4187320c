import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { SharePolicy } from '../../../src/pathinfo/share-policy.ts'
import { Signer } from '../../../src/pathinfo/signer.ts'
import { RecordPathInfoStore } from '../../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../../src/pathinfo/trust-policy.ts'
import {
  decodeResponse,
  encodeRequest,
  type IncomingResponse,
} from '../../../src/peers/exchange/exchange-codec.ts'
import { ExchangeServer, REQUESTS_MAX } from '../../../src/peers/exchange/exchange-server.ts'
import { memoryFrameChannels } from '../../../src/peers/exchange/memory-frame-channel.ts'
import type { Answer, Want } from '../../../src/peers/exchange/want.ts'
import { until } from '../../fixtures/await-peers.ts'
import { KEYS, ownClaim, pathInfoOf, pathNamed } from '../../fixtures/claims.ts'
import { call, noise } from '../../fixtures/content.ts'
import { DIRECTORIES } from '../../fixtures/directories.ts'

async function world() {
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const share = new SharePolicy({ trust })
  const server = new ExchangeServer({ castore, pathInfos, share, log: silentLog })
  const [near, far] = memoryFrameChannels()
  const serving = server.serve('p', far)
  const responses: IncomingResponse[] = []
  near.receive((frame) => void responses.push(decodeResponse(frame))).catch(() => undefined)
  const answersTo = async (id: number, want: Want): Promise<Answer[]> => {
    await near.send([encodeRequest(id, want)])
    const mine = () => responses.filter((it) => it.id === id).map(({ answer }) => answer)
    await until(() => ['done', 'refused'].includes(mine().at(-1)?.type ?? ''))
    return mine()
  }
  return { castore, pathInfos, server, near, serving, responses, answersTo }
}

test('PathInfos are told if they are shared; what is not is as absent as what is not there', async () => {
  const { pathInfos, answersTo } = await world()
  const signed = new Signer({ key: KEYS.a }).sign(pathInfoOf('shared'))
  await pathInfos.put([ownClaim(signed), ownClaim(pathInfoOf('private'))], call)
  const hashes = ['private', 'shared', 'absent'].map((name) => pathNamed(name).hash)
  const answers = await answersTo(1, { type: 'path-infos', hashes })
  expect(answers.map(({ type }) => type)).toEqual(['path-info', 'absent', 'done'])
  expect(answers[0]).toMatchObject({ index: 1 })
  expect(answers[1]).toMatchObject({ indices: [0, 2] })
})

test('chunks come with their indices, those that are not held are named', async () => {
  const { castore, server, answersTo } = await world()
  const contents = [noise(10, 1), noise(900_000, 2), noise(900_000, 3)]
  const held = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await castore.blobs.putChunks(held, call)
  const digests = [Digest.of(noise(32)), ...held.map(({ digest }) => digest)]
  const answers = await answersTo(1, { type: 'chunks', digests })
  expect(answers[0]).toMatchObject({ type: 'absent', indices: [0] })
  const chunks = answers.flatMap((it) => (it.type === 'chunks' ? it.chunks : []))
  expect(chunks.map(({ index }) => index)).toEqual([1, 2, 3])
  for (const { index, data } of chunks) expect(contents[index - 1]!.equals(data)).toBe(true)
  expect(server.bytesServed).toBe(1_800_010)
})

test('a closure comes root first, or is absent', async () => {
  const { castore, answersTo } = await world()
  const { A, B } = DIRECTORIES
  await castore.directories.put([A, B], call)
  const [answer] = await answersTo(1, { type: 'closure', root: B.digest })
  const encoded = (answer as Extract<Answer, { type: 'directories' }>).encoded
  expect(encoded.map((it) => Digest.ofContent(it).hex)).toEqual([B.digest.hex, A.digest.hex])
  const absent = await answersTo(2, { type: 'closure', root: Digest.of(noise(32)) })
  expect(absent).toEqual([{ type: 'absent', indices: [0] }, { type: 'done' }])
})

test('a request that is taken back ends as refused', async () => {
  const { castore, near, responses } = await world()
  const chunks = Array.from({ length: 200 }, (_, i) => noise(100_000, i))
  const held = chunks.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await castore.blobs.putChunks(held, call)
  const digests = held.map(({ digest }) => digest)
  await near.send([encodeRequest(1, { type: 'chunks', digests })])
  await near.send([encodeRequest(1, 'cancel')])
  await until(() => responses.at(-1)?.answer.type === 'refused')
  expect(responses.filter(({ answer }) => answer.type === 'chunks').length).toBeLessThan(20)
})

const closure: Want = { type: 'closure', root: Digest.of(noise(32)) }

test.each([
  ['garbage', [noise(100, 'garbage')]],
  ['an id that is in use', [encodeRequest(1, closure), encodeRequest(1, closure)]],
  ['more than a request can be', [new Uint8Array(1_000_000)]],
  [
    'too many requests at once',
    Array.from({ length: REQUESTS_MAX + 1 }, (_, i) => encodeRequest(i + 1, closure)),
  ],
])('%s ends the channel', async (_, frames) => {
  const { near, serving, castore } = await world()
  castore.directories.closure = async function* () {
    await new Promise(() => undefined)
  }
  const sending = (async () => {
    for (const frame of frames) await near.send([frame])
  })()
  sending.catch(() => undefined)
  await serving
  await expect(near.send([encodeRequest(7, closure)])).rejects.toThrow()
})
