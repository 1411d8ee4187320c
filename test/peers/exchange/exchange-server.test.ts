import { expect, test } from 'vitest'
import { MemoryRecordStore } from '../../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../../src/castore/stores/record-castore.ts'
import { Outboard } from '../../../src/castore/verified/outboard.ts'
import type { Clock } from '../../../src/foundation/clock.ts'
import { Digest } from '../../../src/foundation/digest.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import { unlessAborted } from '../../../src/foundation/single-flight.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { OWNER_ACCESS, type ReadAccess } from '../../../src/pathinfo/read-access.ts'
import { RecordPathInfoStore } from '../../../src/pathinfo/stores/record-path-info-store.ts'
import {
  SERVING_AHEAD_BYTES_MAX,
  SERVING_BYTES_MAX,
} from '../../../src/peers/exchange/chunk-serving.ts'
import {
  decodeResponse,
  encodeRequest,
  type IncomingResponse,
} from '../../../src/peers/exchange/exchange-codec.ts'
import {
  ExchangeServer,
  PARTIAL_FRAME_MS,
  REQUESTS_MAX,
  TAKE_MS,
} from '../../../src/peers/exchange/exchange-server.ts'
import { memoryFrameChannels } from '../../../src/peers/exchange/memory-frame-channel.ts'
import {
  OUTBOARD_MS,
  SERVING_OUTBOARD_BYTES_MAX,
} from '../../../src/peers/exchange/outboard-serving.ts'
import type { Answer, Want } from '../../../src/peers/exchange/want.ts'
import { Swarms } from '../../../src/peers/swarm/swarms.ts'
import { until } from '../../fixtures/await-peers.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../../fixtures/claims.ts'
import { call, noise } from '../../fixtures/content.ts'
import { DIRECTORIES } from '../../fixtures/directories.ts'
import { manualClock, settled } from '../../foundation/manual-clock.ts'

/** What may be read is everything, unless it is said to be less: see `private-content.test.ts`. */
async function world(clock: Clock = systemClock, access: ReadAccess = OWNER_ACCESS) {
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const told: unknown[] = []
  const offences = { reportError: (peer: string, error: unknown) => void told.push([peer, error]) }
  const ports = { clock, offences, log: silentLog }
  const server = new ExchangeServer({
    swarms: new Swarms({ clock, access: access }),
    castore,
    pathInfos,
    access,
    ...ports,
  })
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
  return { castore, pathInfos, server, near, far, serving, responses, answersTo, told }
}

test('PathInfos are told if they are shared; what is not is as absent as what is not there', async () => {
  const tells: ReadAccess['tells'] = async ({ storePath }) => storePath.name === 'shared'
  const { pathInfos, answersTo } = await world(systemClock, { ...OWNER_ACCESS, tells })
  await pathInfos.put([ownClaim(pathInfoOf('shared')), ownClaim(pathInfoOf('private'))], call)
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

test('chunk lists come with outboards if these are asked for', async () => {
  const { castore, answersTo } = await world()
  const [digest] = await castore.blobs.putSmall([noise(20_000)], call)
  const digests = [Digest.of(noise(32)), digest!]
  const bare = await answersTo(1, { type: 'layouts', digests })
  expect(bare[0]).not.toHaveProperty('outboard')
  const [answer, absent] = await answersTo(2, { type: 'layouts', digests, outboards: true })
  const { outboard } = answer as Extract<Answer, { type: 'layout' }>
  new Outboard(digest!, 20_000, outboard!).verify()
  expect(absent).toMatchObject({ type: 'absent', indices: [0] })
})

test('who asks for outboards that are long in the making gets the rest of its answer', async () => {
  const clock = manualClock()
  const { castore, near, responses } = await world(clock)
  const contents = [noise(20_000, 1), noise(20_000, 2)]
  const digests = await castore.blobs.putSmall(contents, call)
  let asked = 0
  castore.blobs.outboard = async (_, { signal }) => {
    asked++
    return await unlessAborted(new Promise<never>(() => undefined), signal)
  }
  await near.send([encodeRequest(1, { type: 'layouts', digests, outboards: true })])
  await settled()
  await clock.pass(OUTBOARD_MS)
  await until(() => responses.at(-1)?.answer.type === 'done')
  expect(responses.map(({ answer }) => answer.type)).toEqual(['layout', 'layout', 'done'])
  for (const { answer } of responses) expect(answer).not.toHaveProperty('outboard')
  expect(asked).toBe(1)
})

test('many who do not take their outboards do not make the memory grow', async () => {
  const { castore, server } = await world()
  const content = noise(17_000)
  const [digest] = await castore.blobs.putSmall([content], call)
  const size = 2 * 1024 ** 3 // its outboard has 8 MiB
  castore.blobs.layouts = async () => [[{ digest: digest!, size }]]
  let reading = 0
  castore.blobs.outboard = async () => {
    reading += 8 * 1024 * 1024
    return undefined
  }
  for (let i = 0; i < 20; i++) {
    const [near, far] = memoryFrameChannels()
    far.send = () => new Promise(() => undefined)
    void server.serve(`peer ${i}`, far)
    const want = { type: 'layouts', digests: [digest!], outboards: true } as const
    await near.send([encodeRequest(1, want)])
  }
  for (let i = 0; i < 20; i++) await settled()
  expect(reading).toBeGreaterThan(0)
  expect(reading).toBeLessThanOrEqual(SERVING_OUTBOARD_BYTES_MAX)
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
])('%s ends the channel, and is held against the peer', async (_, frames) => {
  const { near, serving, castore, told } = await world()
  castore.directories.closure = async function* () {
    await new Promise(() => undefined)
  }
  const sending = (async () => {
    for (const frame of frames) await near.send([frame])
  })()
  sending.catch(() => undefined)
  await serving
  await expect(near.send([encodeRequest(7, closure)])).rejects.toThrow()
  const fault = { code: 'protocol-broken', peer: 'p' }
  expect(told).toEqual([['p', expect.objectContaining({ fault: expect.objectContaining(fault) })]])
})

test('what only later versions ask for is refused, and no offence', async () => {
  const { near, responses, told } = await world()
  const unknownWant = [0x08, 1, (14 << 3) | 2, 0]
  await near.send([Uint8Array.from(unknownWant)])
  await until(() => responses.at(-1)?.answer.type === 'refused')
  expect(told).toEqual([])
})

test('a peer that does not take what it asked for loses its channel', async () => {
  const clock = manualClock()
  const { far, near, serving } = await world(clock)
  far.send = () => new Promise(() => undefined)
  await near.send([encodeRequest(1, closure)])
  await settled()
  await clock.pass(TAKE_MS)
  await serving
  await expect(near.send([encodeRequest(2, closure)])).rejects.toThrow()
})

test('a channel on which the rest of a frame does not come is ended', async () => {
  const clock = manualClock()
  const { far, serving } = await world(clock)
  Object.assign(far, { partialBytes: 3 })
  await clock.pass(2 * PARTIAL_FRAME_MS)
  await serving
})

test('many who do not take their answers do not make the memory grow', async () => {
  const { castore, server } = await world()
  const contents = Array.from({ length: 40 }, (_, i) => noise(256 * 1024, i))
  const held = contents.map((bytes) => ({ digest: Digest.ofContent(bytes), bytes }))
  await castore.blobs.putChunks(held, call)
  let reading = 0
  const { readChunks } = castore.blobs
  castore.blobs.readChunks = async (digests, given) => {
    reading += digests.length * 256 * 1024
    return await readChunks.call(castore.blobs, digests, given)
  }
  const digests = held.map(({ digest }) => digest)
  for (let i = 0; i < 100; i++) {
    const [near, far] = memoryFrameChannels()
    far.send = () => new Promise(() => undefined)
    void server.serve(`peer ${i}`, far)
    await near.send([encodeRequest(1, { type: 'chunks', digests })])
  }
  await until(() => reading > SERVING_AHEAD_BYTES_MAX / 2)
  for (let i = 0; i < 20; i++) await settled()
  expect(reading).toBeLessThanOrEqual(SERVING_BYTES_MAX + SERVING_AHEAD_BYTES_MAX)
})
