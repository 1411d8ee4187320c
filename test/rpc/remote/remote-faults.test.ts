import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import type { Castore } from '../../../src/castore/castore.ts'
import { CastoreError } from '../../../src/castore/castore-error.ts'
import type { Directory } from '../../../src/castore/model/directory.ts'
import { Digest, DigestBuilder } from '../../../src/foundation/digest.ts'
import { listenAt } from '../../../src/foundation/listening.ts'
import { systemClock } from '../../../src/foundation/system-clock.ts'
import { asFinal, TrustPolicy } from '../../../src/pathinfo/trust-policy.ts'
import { remoteCastore } from '../../../src/rpc/remote/remote-castore.ts'
import { RemoteChannel } from '../../../src/rpc/remote/remote-channel.ts'
import { RemoteError } from '../../../src/rpc/remote/remote-error.ts'
import { RemotePathInfoStore } from '../../../src/rpc/remote/remote-path-info-store.ts'
import {
  REMOTE_ANSWER_MS,
  REMOTE_CHUNK_BYTES_MAX,
  REMOTE_WORK_MS,
} from '../../../src/rpc/rpc-limits.ts'
import { until } from '../../fixtures/await-peers.ts'
import { ownClaim, pathInfoOf, pathNamed } from '../../fixtures/claims.ts'
import { allBytes, call, collect, noise } from '../../fixtures/content.ts'
import { DIRECTORIES } from '../../fixtures/directories.ts'
import { manualClock, outcomeOf } from '../../foundation/manual-clock.ts'
import { GatedBlobs, PIECE } from '../gated-castore.ts'
import { type TestNodeInit, TOKEN, testNode } from '../test-node.ts'

const { A, B, C, D, E } = DIRECTORIES

const MIB = 1024 * 1024

async function remote(init: TestNodeInit & { token?: string } = {}, clock = systemClock) {
  const node = await testNode(init)
  const { token } = init
  const { address } = node
  const at = token === undefined ? { address } : { address, token }
  const channel = new RemoteChannel({ clock }, at)
  return {
    ...{ ...remoteCastore({ channel }), pathInfos: new RemotePathInfoStore({ channel }) },
    ...{ node, channel },
    [Symbol.asyncDispose]: async () => {
      channel[Symbol.dispose]()
      await node[Symbol.asyncDispose]()
    },
  }
}

/** The code of the fault that some work ends with. */
async function faultOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'none',
    (error: unknown) =>
      error instanceof RemoteError || error instanceof CastoreError ? error.fault.code : error,
  )
}

const lying = (blobs: object, directories: object = {}) => ({
  around: (castore: Castore): Castore => ({
    ...castore,
    blobs: Object.assign(Object.create(castore.blobs), blobs),
    directories: Object.assign(Object.create(castore.directories), directories),
  }),
})

const asked = Digest.ofContent(noise(1000, 'asked'))

/** Blobs that are said to be `size` bytes long and are these bytes. */
const blobsOf = (size: number, ...pieces: Uint8Array[]) => ({
  layouts: async () => [[{ digest: asked, size }]],
  open: async () => ({
    size,
    async *read() {
      yield* pieces
    },
  }),
})

test('where nobody listens, nothing is told to be absent', async () => {
  const made = await remote()
  await made.node[Symbol.asyncDispose]()
  const { blobs, directories, pathInfos, channel } = made
  using _channel = channel
  expect(await faultOf(blobs.layouts([asked], call))).toBe('unavailable')
  expect(await faultOf(blobs.open(asked, call))).toBe('unavailable')
  expect(await faultOf(blobs.readChunks([asked], call))).toBe('unavailable')
  expect(await faultOf(blobs.putSmall([noise(10)], call))).toBe('unavailable')
  expect(await faultOf(directories.get(A.digest, call))).toBe('unavailable')
  expect(await faultOf(collect(directories.closure(A.digest, call)))).toBe('unavailable')
  expect(await faultOf(directories.put([A], call))).toBe('unavailable')
  expect(await faultOf(pathInfos.get(pathNamed('x').hash, call))).toBe('unavailable')
  expect(await faultOf(pathInfos.put([ownClaim(pathInfoOf('x'))], call))).toBe('unavailable')
  expect(await faultOf(collect(pathInfos.list(call)))).toBe('unavailable')
})

test('what is not what was asked for is refused', async () => {
  for (const [blobs, size] of [
    [blobsOf(1000, noise(1000, 'another')), 1000],
    [blobsOf(1000, noise(500, 'another')), 1000],
    [blobsOf(1000, noise(1000, 'asked'), noise(1, 'more')), 1000],
    [blobsOf(1000), 1000],
  ] as const) {
    await using made = await remote(lying(blobs))
    const reader = await made.blobs.open(asked, call)
    expect(reader?.size).toBe(size)
    expect(await faultOf(collect(reader!.read(0, call)))).toBe('digest-mismatch')
    expect(await faultOf(collect(reader!.read(999, call)))).toBe('digest-mismatch')
    expect(await faultOf(made.blobs.readChunks([asked], call))).toBe('digest-mismatch')
  }
  await using honest = await remote(lying(blobsOf(1000, noise(1000, 'asked'))))
  const reader = await honest.blobs.open(asked, call)
  expect(await allBytes(reader!.read(999, call))).toEqual(noise(1000, 'asked').subarray(999))
})

test('a chunk is only so long', async () => {
  const pieces = Array.from({ length: REMOTE_CHUNK_BYTES_MAX / PIECE.length + 1 }, () => PIECE)
  await using made = await remote(lying(blobsOf(1000, ...pieces)))
  expect(await faultOf(made.blobs.readChunks([asked], call))).toBe('too-large')
})

test('a server that tells no chunks still says how long a blob is', async () => {
  const content = noise(1000, 'asked')
  const silent = { ...blobsOf(1000, content), layouts: async () => [[]] }
  await using made = await remote(lying(silent))
  expect(await made.blobs.layouts([asked], call)).toEqual([[{ digest: asked, size: 1000 }]])
  expect((await made.blobs.open(asked, call))?.size).toBe(1000)
})

test('a server that got something else than was sent has not got it', async () => {
  const writer = {
    write: async () => undefined,
    commit: async () => asked,
    [Symbol.asyncDispose]: async () => undefined,
  }
  await using made = await remote(lying({ create: () => writer }))
  expect(await faultOf(made.blobs.putSmall([noise(10)], call))).toBe('bad-answer')
})

test('Directories that do not belong together are refused', async () => {
  const closures: [readonly Directory[], string][] = [
    [[E, D, A, B], 'none'],
    [[E, D, B, A], 'none'],
    [[E, D, A], 'incomplete'],
    [[E, D, A, B, A], 'invalid'],
    [[E, A, D, B], 'invalid'],
    [[E, D, A, C, B], 'invalid'],
    [[D, A, B], 'invalid'],
  ]
  for (const [sent, expected] of closures) {
    const directories = {
      async *closure() {
        yield* sent
      },
      get: async () => C,
    }
    await using made = await remote(lying({}, directories))
    expect(await faultOf(collect(made.directories.closure(E.digest, call)))).toBe(expected)
    expect(await faultOf(made.directories.get(E.digest, call))).toBe('digest-mismatch')
  }
})

test('several unrelated Directories go in at once', async () => {
  await using made = await remote()
  await made.directories.put([A, B, C], call)
  for (const { digest } of [A, B, C]) {
    expect((await made.node.castore.directories.get(digest, call))?.digest).toEqual(digest)
  }
})

test('a stranger is refused, one with a token is not', async () => {
  const isLocal = (): boolean => false
  await using stranger = await remote({ isLocal })
  expect(await faultOf(stranger.blobs.putSmall([noise(10)], call))).toBe('refused')
  expect(await faultOf(stranger.directories.put([A], call))).toBe('refused')
  expect(await faultOf(stranger.pathInfos.put([ownClaim(pathInfoOf('x'))], call))).toBe('refused')
  expect(await faultOf(collect(stranger.pathInfos.list(call)))).toBe('refused')
  await using friend = await remote({ isLocal, token: TOKEN })
  expect(await faultOf(friend.blobs.putSmall([noise(10)], call))).toBe('none')
  expect(await collect(friend.pathInfos.list(call))).toEqual([])
})

test('what the other side judges to be wrong is told as that', async () => {
  await using made = await remote()
  const trust = new TrustPolicy({}, { trustedKeys: [] })
  const claim = asFinal(trust.admit({ pathInfo: pathInfoOf('nowhere'), origin: 'owner' }))
  expect(await faultOf(made.pathInfos.put([claim!], call))).toBe('rejected')
})

test('silence ends a call, and a slow consumer does not', async () => {
  const clock = manualClock()
  const server = createServer()
  await listenAt(server, { kind: 'tcp', host: '127.0.0.1', port: 0 })
  const { port } = server.address() as { port: number }
  using channel = new RemoteChannel({ clock }, { address: `127.0.0.1:${port}` })
  const { blobs, directories } = remoteCastore({ channel })
  const calls = [
    blobs.layouts([asked], call),
    directories.get(A.digest, call),
    blobs.putSmall([noise(10)], call),
  ]
  const faults = calls.map(faultOf)
  const slow = new RemotePathInfoStore({ channel }).get(pathNamed('x').hash, call)
  const slowFault = faultOf(slow)
  await until(() => clock.sleepers === calls.length + 1)
  await clock.pass(REMOTE_ANSWER_MS - 1)
  for (const it of calls) expect(await outcomeOf(it)).toBe('pending')
  await clock.pass(1)
  expect(await Promise.all(faults)).toEqual(['timeout', 'timeout', 'timeout'])
  await clock.pass(REMOTE_WORK_MS - REMOTE_ANSWER_MS - 1)
  expect(await outcomeOf(slow)).toBe('pending') // much work may come before that answer
  await clock.pass(1)
  expect(await slowFault).toBe('timeout')
  server.close()
  await using made = await remote({}, clock)
  const [digest] = await made.node.castore.blobs.putSmall([noise(100_000)], call)
  const reader = await made.blobs.open(digest!, call)
  for await (const _ of reader!.read(0, call)) await clock.pass(2 * REMOTE_ANSWER_MS)
})

test('a call that is aborted ends with its reason, over there, too', async () => {
  const blobs = new GatedBlobs({}, { bytes: 64 * MIB })
  await using made = await remote({ around: blobs.around })
  const reason = new Error('no longer wanted')
  const late = { signal: AbortSignal.abort(reason) }
  await expect(made.blobs.open(asked, late)).rejects.toBe(reason)
  await expect(made.blobs.putSmall([noise(10)], late)).rejects.toBe(reason)
  await expect(collect(made.pathInfos.list(late))).rejects.toBe(reason)
  const abort = new AbortController()
  const putting = made.blobs.putSmall([noise(10)], { signal: abort.signal })
  await until(() => blobs.written === 10)
  abort.abort(reason)
  await expect(putting).rejects.toBe(reason)
  await until(() => blobs.closed === 1)
  const reader = await made.blobs.open(blobs.digest, call)
  for await (const _ of reader!.read(0, call)) break
  await until(() => blobs.closed === 2)
})

test('neither a slow store nor a slow consumer fills the memory', async () => {
  const blobs = new GatedBlobs({}, { bytes: 64 * MIB })
  await using made = await remote({ around: blobs.around })
  await using writer = made.blobs.create()
  let accepted = 0
  const writing = (async () => {
    for (; accepted < 64 * MIB; accepted += PIECE.length) await writer.write(PIECE, call)
  })()
  await until(() => blobs.written > 0)
  for (let i = 0; i < 50; i++) await made.blobs.layouts([asked], call)
  expect(accepted).toBeLessThanOrEqual(4 * MIB)
  const reader = await made.blobs.open(blobs.digest, call)
  for await (const _ of reader!.read(0, call)) {
    for (let i = 0; i < 50; i++) await made.blobs.layouts([asked], call)
    break
  }
  expect(blobs.read).toBeLessThanOrEqual(10 * MIB)
  blobs.open()
  await writing
  expect(await writer.commit(call)).toEqual(blobs.digest)
})

test('64 MiB go in and come out', async () => {
  await using made = await remote()
  const content = noise(MIB, 'much')
  const builder = new DigestBuilder()
  await using writer = made.blobs.create()
  for (let i = 0; i < 64; i++) {
    content.writeUInt32LE(i)
    builder.update(content)
    await writer.write(content, call)
  }
  const digest = await writer.commit(call)
  expect(digest).toEqual(builder.finish())
  let size = 0
  const reader = await made.blobs.open(digest, call)
  for await (const piece of reader!.read(0, call)) size += piece.length
  expect(size).toBe(64 * MIB)
})
