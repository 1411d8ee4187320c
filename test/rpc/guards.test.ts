import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { type ServiceError, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import {
  ReadBlobRequest,
  StatBlobRequest,
} from '../../src/generated/tvix/castore/v1/rpc_blobstore.ts'
import { BLOB_CHUNK_CODEC } from '../../src/rpc/blob-chunk-codec.ts'
import {
  CONNECTION_IDLE_MS,
  CONNECTION_LINGER_MS,
  HEADER_BYTES_MAX,
  PREFACE_MS,
  RECEIVE_WINDOW_BYTES,
  STREAM_IDLE_MS,
} from '../../src/rpc/rpc-limits.ts'
import { encoded } from '../../src/rpc/wire-codec.ts'
import { until } from '../fixtures/await-peers.ts'
import { manualClock } from '../foundation/manual-clock.ts'
import { ANY_DIGEST, GatedBlobs } from './gated-castore.ts'
import { methodOf, RawClient } from './raw-client.ts'
import { reflect } from './reflecting-client.ts'
import { testNode } from './test-node.ts'

const MIB = 1024 * 1024

const STAT = StatBlobRequest.encode({
  digest: ANY_DIGEST.bytes,
  sendChunks: false,
  sendBao: false,
}).finish()

const READ = encoded(ReadBlobRequest, { digest: ANY_DIGEST.bytes })

/** Begins to send so many messages, and says how much of them has left this side. */
function upload(client: RawClient, messages: number, message: Buffer) {
  const put = methodOf('BlobService', 'Put')
  const { promise, resolve } = Promise.withResolvers<ServiceError | null>()
  const stream = client.client.makeClientStreamRequest(
    put.path,
    put.requestSerialize,
    put.responseDeserialize,
    (error) => resolve(error),
  )
  const sending = { left: 0, ended: promise, stream }
  for (let i = 0; i < messages; i++) {
    stream.write(message, () => {
      sending.left += message.length
    })
  }
  return sending
}

/** Reads a blob's first message, and then no more. */
async function pausedReader(client: RawClient) {
  const { path, requestSerialize, responseDeserialize } = methodOf('BlobService', 'Read')
  const stream = client.client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    READ,
  )
  stream.on('error', () => undefined)
  await new Promise((resolve) => stream.once('data', resolve))
  stream.pause()
  return stream
}

/** Makes round trips on the same connection: what could move meanwhile has moved. */
async function roundTrips(client: RawClient): Promise<void> {
  for (let i = 0; i < 50; i++) await client.call('BlobService', 'Stat', STAT)
}

test('a slow store slows the sender, and nothing piles up between them', async () => {
  const blobs = new GatedBlobs({}, { bytes: 0 })
  await using node = await testNode({ around: blobs.around })
  using client = new RawClient({}, { address: node.address })
  const message = encoded(BLOB_CHUNK_CODEC, Buffer.alloc(2 * MIB))
  const sending = upload(client, 32, message)
  await until(() => blobs.written > 0)
  await roundTrips(client)
  expect(blobs.written).toBe(2 * MIB)
  expect(sending.left).toBeLessThanOrEqual(4 * message.length)
  blobs.open()
  sending.stream.end()
  expect(await sending.ended).toBeNull()
  expect(blobs.written).toBe(64 * MIB)
})

test('a slow reader slows the store, and one that leaves ends the reading', async () => {
  const blobs = new GatedBlobs({}, { bytes: 256 * MIB })
  await using node = await testNode({ around: blobs.around })
  using client = new RawClient({}, { address: node.address })
  const stream = await pausedReader(client)
  await roundTrips(client)
  expect(blobs.read).toBeLessThanOrEqual(16 * MIB)
  stream.cancel()
  await until(() => blobs.closed === 1)
  expect(blobs.read).toBeLessThanOrEqual(16 * MIB)
})

test('an upload that stops sending is ended, one that waits for the store is not', async () => {
  const blobs = new GatedBlobs({}, { bytes: 0 })
  const clock = manualClock()
  await using node = await testNode({ around: blobs.around, clock })
  using client = new RawClient({}, { address: node.address })
  const message = encoded(BLOB_CHUNK_CODEC, Buffer.alloc(10))
  const sending = upload(client, 1, message)
  await until(() => blobs.written > 0)
  await clock.pass(STREAM_IDLE_MS)
  await clock.pass(STREAM_IDLE_MS)
  await roundTrips(client)
  expect(blobs.closed).toBe(0)
  blobs.open()
  sending.stream.write(message)
  await until(() => blobs.written === 20)
  await clock.pass(STREAM_IDLE_MS / 2)
  await roundTrips(client)
  expect(blobs.closed).toBe(0)
  await clock.pass(STREAM_IDLE_MS)
  const error = await sending.ended
  expect(status[error!.code]).toBe('DEADLINE_EXCEEDED')
  expect(error?.details).toContain('waiting for the client to send the rest')
  await until(() => blobs.closed === 1)
})

test('a reader that takes nothing is given up', async () => {
  const blobs = new GatedBlobs({}, { bytes: 256 * MIB })
  const clock = manualClock()
  await using node = await testNode({ around: blobs.around, clock })
  using client = new RawClient({}, { address: node.address })
  const stream = await pausedReader(client)
  await roundTrips(client)
  await clock.pass(STREAM_IDLE_MS)
  await until(() => blobs.closed === 1)
  stream.cancel()
})

/** Resolves once it is closed, with or without an error. */
function closing(it: { resume?(): unknown; once(event: 'close', done: () => void): unknown }) {
  it.resume?.()
  return new Promise<void>((resolve) => it.once('close', resolve))
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1))
}

async function silent(address: string, bytes = ''): Promise<Socket> {
  const socket = connect(portOf(address), '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  socket.write(bytes)
  return socket
}

test('a connection that does not begin as HTTP/2 does is cut, others are not', async () => {
  const clock = manualClock()
  await using node = await testNode({ clock })
  using client = new RawClient({}, { address: node.address })
  await client.call('BlobService', 'Stat', STAT)
  const sockets = [await silent(node.address), await silent(node.address, 'PRI * HTTP/2.0\r\n')]
  await until(() => node.server.connections === 3)
  const closed = Promise.all(sockets.map(closing))
  await clock.pass(PREFACE_MS - 1)
  expect(node.server.connections).toBe(3)
  await clock.pass(1)
  await closed
  await until(() => node.server.connections === 1)
  expect((await client.call('BlobService', 'Stat', STAT)).code).toBe(status.NOT_FOUND)
})

/** An HTTP/2 connection whose requests are made by hand. */
async function session(address: string): Promise<ClientHttp2Session> {
  const connected = connectHttp2(`http://127.0.0.1:${portOf(address)}`)
  connected.on('error', () => undefined)
  await once(connected, 'connect')
  return connected
}

function begin(connected: ClientHttp2Session, path: string, headers = {}) {
  const stream = connected.request({
    ...{ ':method': 'POST', ':path': path, te: 'trailers', 'content-type': 'application/grpc' },
    ...headers,
  })
  stream.on('error', () => undefined)
  return stream
}

const ping = (connected: ClientHttp2Session): Promise<unknown> =>
  new Promise((resolve) => connected.ping(resolve))

test('what is open but goes nowhere does not keep a connection', async () => {
  const clock = manualClock()
  const blobs = new GatedBlobs({}, { bytes: 0 })
  await using node = await testNode({ clock, around: blobs.around })
  using working = new RawClient({}, { address: node.address })
  const sending = upload(working, 1, encoded(BLOB_CHUNK_CODEC, Buffer.alloc(10)))
  await until(() => blobs.written > 0)
  const lazy = await Promise.all([session(node.address), session(node.address)])
  begin(lazy[0], '/tvix.castore.v1.BlobService/Stat').write(Buffer.alloc(3))
  begin(lazy[1], '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')
  await Promise.all(lazy.map(ping))
  const closed = Promise.all(lazy.map(closing))
  await clock.pass(PREFACE_MS)
  await clock.pass(CONNECTION_IDLE_MS + CONNECTION_LINGER_MS)
  await closed
  expect(node.server.connections).toBe(1) // a call is under way there
  blobs.open()
  sending.stream.end()
  expect(await sending.ended).toBeNull()
})

test('clients may have more on their way than HTTP/2 begins with', async () => {
  await using node = await testNode()
  const connected = await session(node.address)
  const widened = new Promise<number | undefined>((resolve) => {
    connected.on('remoteSettings', ({ initialWindowSize }) => {
      if (initialWindowSize !== 65_535) resolve(initialWindowSize)
    })
  })
  begin(connected, '/tvix.castore.v1.BlobService/Put')
  expect(await widened).toBe(RECEIVE_WINDOW_BYTES)
  await ping(connected)
  expect(connected.state.remoteWindowSize).toBe(RECEIVE_WINDOW_BYTES)
  connected.destroy()
})

test('there are only so many connections, and strangers take none from the owner', async () => {
  let local = false
  const init = { remoteMax: 2, localMax: 1, isLocal: () => local }
  await using node = await testNode(init)
  const strangers = [await silent(node.address), await silent(node.address)]
  await until(() => node.server.connections === 2)
  const third = await silent(node.address)
  await closing(third)
  local = true
  using client = new RawClient({}, { address: node.address })
  expect((await client.call('BlobService', 'Stat', STAT)).code).toBe(status.NOT_FOUND)
  expect(node.server.connections).toBe(3)
  const fourth = await silent(node.address)
  await closing(fourth)
  for (const socket of strangers) socket.destroy()
  await until(() => node.server.connections === 1)
})

test('headers are only so long', async () => {
  await using node = await testNode()
  const path = '/tvix.castore.v1.BlobService/Stat'
  const connected = await session(node.address)
  const long = begin(connected, path, { x: 'x'.repeat(HEADER_BYTES_MAX) })
  await closing(long)
  expect(long.rstCode).not.toBe(0)
  connected.destroy()
})

test('a stopping node says so, and waits for nobody who would wait for ever', async () => {
  const clock = manualClock()
  const node = await testNode({ clock })
  using reflected = await reflect(node.address)
  const told: unknown[] = []
  const watching = watch(reflected, told)
  await until(() => told.length === 1)
  const connected = await session(node.address)
  const asking = begin(connected, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')
  await ping(connected)
  const headers = once(asking, 'response')
  asking.resume().on('end', () => asking.close()) // as clients do that are told a status
  await node[Symbol.asyncDispose]()
  expect(await watching).toMatchObject({
    code: status.UNAVAILABLE,
    details: 'the node is stopping',
  })
  expect(told).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }])
  const [{ 'grpc-message': message }] = await headers
  expect(decodeURI(message)).toBe('the node is stopping')
  connected.destroy()
})

/** Watches the health of the node, and says how that ended. */
async function watch(
  reflected: Awaited<ReturnType<typeof reflect>>,
  told: unknown[],
): Promise<unknown> {
  try {
    await reflected.each('grpc.health.v1.Health', 'Watch', { service: '' }, (it) => told.push(it))
    return undefined
  } catch (error) {
    return error
  }
}
