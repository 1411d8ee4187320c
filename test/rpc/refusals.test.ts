import { networkInterfaces } from 'node:os'
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import type { Castore } from '../../src/castore/castore.ts'
import type { Directory } from '../../src/castore/model/directory.ts'
import { encodeEntries, toWireNode } from '../../src/castore/model/directory-codec.ts'
import { DirectoryNode, FileNode } from '../../src/castore/model/node.ts'
import { Outboard } from '../../src/castore/verified/outboard.ts'
import { Digest } from '../../src/foundation/digest.ts'
import {
  AddSignaturesRequest,
  DescribeRequest,
  FetchRequest,
  ImportRequest,
  ShareRequest,
} from '../../src/generated/cairn/node/v1/node.ts'
import { Node as WireNode } from '../../src/generated/tvix/castore/v1/castore.ts'
import {
  BlobChunk,
  ReadBlobRequest,
  StatBlobRequest,
  StatBlobResponse,
} from '../../src/generated/tvix/castore/v1/rpc_blobstore.ts'
import { GetDirectoryRequest } from '../../src/generated/tvix/castore/v1/rpc_directory.ts'
import { PathInfo as WirePathInfo } from '../../src/generated/tvix/store/v1/pathinfo.ts'
import {
  GetPathInfoRequest,
  ListPathInfoRequest,
} from '../../src/generated/tvix/store/v1/rpc_pathinfo.ts'
import { measureNar } from '../../src/nar/measure-nar.ts'
import { NamePattern } from '../../src/pathinfo/name-pattern.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import { toWireSigned } from '../../src/pathinfo/path-info-codec.ts'
import { Signer } from '../../src/pathinfo/signer.ts'
import { MESSAGE_BYTES_MAX } from '../../src/rpc/rpc-limits.ts'
import { heldPathInfo } from '../contracts/path-info-store-contract.ts'
import { KEYS, pathInfoOf, pathNamed } from '../fixtures/claims.ts'
import { call, noise } from '../fixtures/content.ts'
import { DIRECTORIES, directoryOf, nodeOf } from '../fixtures/directories.ts'
import { RawClient } from './raw-client.ts'
import { type TestNodeInit, TOKEN, testNode } from './test-node.ts'

const { A, B, C, D, COMPLICATED, KEEP } = DIRECTORIES

const STRANGERS = { isLocal: () => false }

const absent = Uint8Array.from(noise(32, 'absent'))

const digestOf = (digest: Uint8Array) => ReadBlobRequest.encode({ digest }).finish()

const getOf = (digest: Uint8Array, recursive = false) =>
  GetDirectoryRequest.encode({ byWhat: { $case: 'digest', digest }, recursive }).finish()

const byHash = (byOutputHash: Uint8Array) =>
  GetPathInfoRequest.encode({ byWhat: { $case: 'byOutputHash', byOutputHash } }).finish()

const pathInfoMessage = (pathInfo: PathInfo) =>
  WirePathInfo.encode(toWireSigned(pathInfo).pathInfo!).finish()

const rootMessage = (node: FileNode | DirectoryNode) =>
  WireNode.encode(toWireNode(Buffer.from('x'), node)).finish()

async function raw(init: TestNodeInit & { token?: string } = {}) {
  const node = await testNode(init)
  const { address } = node
  const client = new RawClient({}, { address, ...(init.token ? { token: init.token } : {}) })
  return {
    ...{ node, client, call: client.call.bind(client) },
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]()
      await node[Symbol.asyncDispose]()
    },
  }
}

const GARBAGE = Buffer.from('0affffffff', 'hex')

test.each([
  ['BlobService', 'Stat'],
  ['BlobService', 'Read'],
  ['BlobService', 'Put'],
  ['DirectoryService', 'Get'],
  ['DirectoryService', 'Put'],
  ['PathInfoService', 'Get'],
  ['PathInfoService', 'Put'],
  ['PathInfoService', 'CalculateNAR'],
  ['PathInfoService', 'List'],
  ['NodeService', 'Import'],
  ['NodeService', 'Fetch'],
  ['NodeService', 'Cat'],
  ['NodeService', 'List'],
  ['NodeService', 'Describe'],
  ['NodeService', 'AddSignatures'],
  ['NodeService', 'Share'],
])('%s.%s: a message that is none is the client’s fault', async (service, method) => {
  await using it = await raw()
  const { code, details } = await it.call(service, method, GARBAGE)
  expect(status[code], details).toBe('INVALID_ARGUMENT')
})

test.each([
  ['BlobService', 'Stat', StatBlobRequest.encode({ ...stat(absent) }).finish(), 'NOT_FOUND'],
  ['BlobService', 'Stat', digestOf(absent.subarray(1)), 'INVALID_ARGUMENT'],
  ['BlobService', 'Read', digestOf(absent), 'NOT_FOUND'],
  ['BlobService', 'Read', digestOf(new Uint8Array(0)), 'INVALID_ARGUMENT'],
  ['DirectoryService', 'Get', getOf(absent), 'NOT_FOUND'],
  ['DirectoryService', 'Get', getOf(absent, true), 'NOT_FOUND'],
  ['DirectoryService', 'Get', getOf(absent.subarray(1)), 'INVALID_ARGUMENT'],
  ['DirectoryService', 'Get', new Uint8Array(0), 'INVALID_ARGUMENT'],
  ['PathInfoService', 'Get', byHash(absent.subarray(0, 20)), 'NOT_FOUND'],
  ['PathInfoService', 'Get', byHash(absent), 'INVALID_ARGUMENT'],
  ['PathInfoService', 'Get', new Uint8Array(0), 'INVALID_ARGUMENT'],
  ['PathInfoService', 'Put', new Uint8Array(0), 'INVALID_ARGUMENT'],
  ['PathInfoService', 'CalculateNAR', new Uint8Array(0), 'INVALID_ARGUMENT'],
  [
    ...['PathInfoService', 'CalculateNAR'],
    rootMessage(new FileNode(Digest.of(absent), 9, false)),
    'FAILED_PRECONDITION',
  ],
  [
    ...['PathInfoService', 'CalculateNAR'],
    rootMessage(new DirectoryNode(Digest.of(absent), 9)),
    'FAILED_PRECONDITION',
  ],
] as [string, string, Uint8Array, string][])(
  '%s.%s %j is %s',
  async (service, method, request, expected) => {
    await using it = await raw()
    const { code, details } = await it.call(service, method, request)
    expect(status[code], details).toBe(expected)
  },
)

function stat(digest: Uint8Array) {
  return { digest, sendChunks: true, sendBao: false }
}

test('a blob’s chunks and its outboard are told to who asks for them', async () => {
  await using it = await raw()
  const content = noise(3_000_000, 'chunked')
  await using writer = it.node.castore.blobs.create()
  await writer.write(content, call)
  const { bytes } = await writer.commit(call)
  const ask = async (sendChunks: boolean, sendBao = !sendChunks) => {
    const request = StatBlobRequest.encode({ digest: bytes, sendChunks, sendBao }).finish()
    const { messages } = await it.call('BlobService', 'Stat', request)
    return StatBlobResponse.decode(messages[0]!)
  }
  const { chunks, bao } = await ask(true)
  expect(chunks.reduce((sum, { size }) => sum + size, 0)).toBe(content.length)
  expect(bao).toHaveLength(0)
  const proof = await ask(false)
  expect(proof.chunks).toEqual([])
  new Outboard(Digest.of(bytes), content.length, proof.bao).verify()
  expect((await ask(true, true)).bao).toEqual(proof.bao)
  const chunk = await it.call('BlobService', 'Read', digestOf(chunks[1]!.digest))
  const read = Buffer.concat(chunk.messages.map((message) => BlobChunk.decode(message).data))
  const { size } = chunks[0]!
  expect(read.equals(content.subarray(size, size + chunks[1]!.size))).toBe(true)
})

test('an outboard that is too long for one message is left out, and not made', async () => {
  let made = 0
  const around = (size: number) => (castore: Castore) => ({
    ...castore,
    blobs: Object.assign(Object.create(castore.blobs), {
      layouts: async () => [[{ digest: A.digest, size }]],
      outboard: async () => {
        made++
        return undefined
      },
    }),
  })
  for (const [size, expected] of [
    [896 * 1024 * 1024, 1],
    [896 * 1024 * 1024 + 16_385, 1],
  ] as const) {
    await using it = await raw({ around: around(size) })
    const request = { digest: A.digest.bytes, sendChunks: true, sendBao: true }
    const asked = StatBlobRequest.encode(request).finish()
    const { messages } = await it.call('BlobService', 'Stat', asked)
    expect(StatBlobResponse.decode(messages[0]!).bao).toHaveLength(0)
    expect(made).toBe(expected)
  }
})

describe('Directories', () => {
  const liar = directoryOf({ a: new DirectoryNode(A.digest, 7) })
  const unsorted = Buffer.concat([
    encodeEntries([{ name: Buffer.from('b'), node: nodeOf(A) }]),
    encodeEntries([{ name: Buffer.from('a'), node: nodeOf(A) }]),
  ])
  test.each([
    ['none at all', [], 'at least one'],
    ['a child that is nowhere', [B.encoded], 'not held'],
    ['a parent before its child', [B.encoded, A.encoded], 'comes after one that refers to it'],
    ['one that nothing refers to', [A, C, B].map((it) => it.encoded), 'is not below the last one'],
    ['a wrong size', [A.encoded, liar.encoded], 'its parent says 7'],
    ['lists out of order', [A.encoded, unsorted], 'sorted by name'],
  ])('a stream with %s is refused', async (_label, messages, words) => {
    await using it = await raw()
    const { code, details } = await it.call('DirectoryService', 'Put', ...messages)
    expect(status[code], details).toBe('INVALID_ARGUMENT')
    expect(details).toContain(words)
    // Whatever of it was stored, nothing refers to it.
    for (const root of [B, C, liar]) {
      expect(await it.node.castore.directories.get(root.digest, call)).toBeUndefined()
    }
  })

  test('a wrong size of what is held already is refused', async () => {
    await using it = await raw()
    await it.call('DirectoryService', 'Put', A.encoded)
    const { code } = await it.call('DirectoryService', 'Put', liar.encoded)
    expect(status[code]).toBe('INVALID_ARGUMENT')
  })

  test('what comes again counts once, and what is held already may be left out', async () => {
    await using it = await raw()
    expect((await it.call('DirectoryService', 'Put', A.encoded)).code).toBe(status.OK)
    const again = [B, A, D, B].map((directory) => directory.encoded)
    const { code, details } = await it.call('DirectoryService', 'Put', ...again)
    expect(details).toContain('comes after one that refers to it')
    expect(code).toBe(status.INVALID_ARGUMENT)
    const twice = [A, A, B, D, B].map((directory) => directory.encoded)
    expect((await it.call('DirectoryService', 'Put', ...twice)).code).toBe(status.OK)
    const { messages } = await it.call('DirectoryService', 'Get', getOf(D.digest.bytes, true))
    expect(messages.map((it) => Digest.ofContent(it).hex)).toEqual(
      [D, A, B].map(({ digest }) => digest.hex),
    )
  })
})

describe('PathInfos', () => {
  test('the owner’s content must be there, and be what is said', async () => {
    await using it = await raw()
    const put = async (pathInfo: PathInfo) => {
      const { code, details } = await it.call('PathInfoService', 'Put', pathInfoMessage(pathInfo))
      return [status[code], details] as const
    }
    expect((await put(pathInfoOf('nowhere')))[0]).toBe('FAILED_PRECONDITION')
    const held = await heldPathInfo(it.node.castore, 'one')
    expect(await put(pathInfoOf('one', { ...held, narSize: held.narSize + 8 }))).toEqual([
      'INVALID_ARGUMENT',
      expect.stringContaining('does not have the NAR hash that was claimed'),
    ])
    const narSha256 = Uint8Array.from(noise(32, 'another hash'))
    expect((await put(pathInfoOf('one', { ...held, narSha256 })))[0]).toBe('INVALID_ARGUMENT')
    const node = new FileNode((held.node as FileNode).digest, 99, false)
    expect((await put(pathInfoOf('one', { ...held, node })))[0]).toBe('INVALID_ARGUMENT')
    expect(await it.node.pathInfos.get(held.storePath.hash, call)).toBeUndefined()
    expect((await put(held))[0]).toBe('OK')
    expect(await it.node.pathInfos.get(held.storePath.hash, call)).toBeDefined()
  })

  test('the size of a root Directory is checked, which no NAR has', async () => {
    await using it = await raw()
    await it.node.castore.blobs.putSmall([new Uint8Array(0)], call)
    await it.node.castore.directories.put([KEEP, COMPLICATED], call)
    const nar = {
      narSize: 840,
      narSha256: Buffer.from(
        'ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a',
        'hex',
      ),
    }
    for (const [size, expected] of [
      [5, 'INVALID_ARGUMENT'],
      [4, 'OK'],
    ] as const) {
      const node = new DirectoryNode(COMPLICATED.digest, size)
      const message = pathInfoMessage(pathInfoOf('tree', { node, ...nar }))
      expect(status[(await it.call('PathInfoService', 'Put', message)).code]).toBe(expected)
    }
  })

  test('a stranger may put what a trusted key signed, and nothing else', async () => {
    await using it = await raw(STRANGERS)
    const { castore, pathInfos } = it.node
    const put = async (pathInfo: PathInfo) => {
      const { code } = await it.call('PathInfoService', 'Put', pathInfoMessage(pathInfo))
      return status[code]
    }
    const trusted = new Signer({ key: KEYS.a })
    const unsigned = await heldPathInfo(castore, 'one')
    expect(await put(unsigned)).toBe('PERMISSION_DENIED')
    expect(await put(new Signer({ key: KEYS.b }).sign(unsigned))).toBe('PERMISSION_DENIED')
    const forged = { name: 'a-1', data: new Uint8Array(64) }
    expect(await put(unsigned.withSignatures([forged]))).toBe('PERMISSION_DENIED')
    expect(await pathInfos.get(unsigned.storePath.hash, call)).toBeUndefined()
    expect(await put(trusted.sign(pathInfoOf('nowhere')))).toBe('FAILED_PRECONDITION')
    const lie = trusted.sign(pathInfoOf('one', { ...unsigned, narSize: unsigned.narSize + 8 }))
    expect(await put(lie)).toBe('INVALID_ARGUMENT')
    const junk = { name: 'junk-1', data: new Uint8Array(64) }
    expect(await put(trusted.sign(unsigned).withSignatures([junk]))).toBe('OK')
    const held = await pathInfos.get(unsigned.storePath.hash, call)
    expect(held?.signatures.map(({ name }) => name)).toEqual(['a-1'])
    const other = trusted.sign(await heldPathInfo(castore, 'one', 'other content'))
    expect(await put(other)).toBe('FAILED_PRECONDITION')
    expect(await put(trusted.sign(unsigned))).toBe('OK')
  })

  test('what a stranger puts takes no signature away', async () => {
    await using it = await raw(STRANGERS)
    const held = await heldPathInfo(it.node.castore, 'one')
    const kept = { name: 'kept-1', data: new Uint8Array(64) }
    await it.node.intake.take(held.withSignatures([kept], [kept]), call)
    const signed = new Signer({ key: KEYS.a }).sign(held)
    const { code } = await it.call('PathInfoService', 'Put', pathInfoMessage(signed))
    expect(code).toBe(status.OK)
    const now = await it.node.pathInfos.get(held.storePath.hash, call)
    expect(now?.signatures.map(({ name }) => name)).toEqual(['kept-1', 'a-1'])
    expect(now?.rootSignatures).toHaveLength(1)
  })
})

type Caller = Pick<Awaited<ReturnType<typeof raw>>, 'call'>

/** Holds a shared path and a private one, each a directory with a file of its own. */
async function sharedAndPrivate(node: Awaited<ReturnType<typeof testNode>>) {
  const { castore, intake, shared: access } = node
  const [content, secret] = await castore.blobs.putSmall([noise(10), noise(10, 'secret')], call)
  const root = directoryOf({ file: new FileNode(content!, 10, false) })
  const hidden = directoryOf({ file: new FileNode(secret!, 10, false) })
  await castore.directories.put([root, hidden], call)
  const plain = async (name: string, directory: Directory) =>
    pathInfoOf(name, {
      node: nodeOf(directory),
      ...(await measureNar(nodeOf(directory), castore, call)),
    })
  const signed = new Signer({ key: KEYS.a }).sign(await plain('shared', root))
  const { pathInfo: shared } = await intake.take(signed, call)
  const { pathInfo: own } = await intake.take(await plain('own', hidden), call)
  await access.tells(shared, call)
  return { content: content!, secret: secret!, root, hidden, shared, own }
}

/** All that can be asked about a path whose root has one file. */
async function readAll({ call }: Caller, hash: Uint8Array, root: Directory, blob: Digest) {
  const requests = [
    ['BlobService', 'Stat', digestOf(blob.bytes)],
    [
      'BlobService',
      'Stat',
      StatBlobRequest.encode({ ...stat(blob.bytes), sendBao: true }).finish(),
    ],
    ['BlobService', 'Read', digestOf(blob.bytes)],
    ['DirectoryService', 'Get', getOf(root.digest.bytes)],
    ['DirectoryService', 'Get', getOf(root.digest.bytes, true)],
    ['PathInfoService', 'Get', byHash(hash)],
    ['PathInfoService', 'CalculateNAR', rootMessage(nodeOf(root))],
    ['PathInfoService', 'CalculateNAR', rootMessage(new FileNode(blob, 10, false))],
  ] as const
  const answers: [string, Awaited<ReturnType<RawClient['call']>>][] = []
  for (const [service, method, request] of requests) {
    answers.push([method, await call(service, method, request)])
  }
  return answers
}

describe('strangers', () => {
  const storePath = pathNamed('x').toString()
  const writes: [string, string, Uint8Array][] = [
    ['BlobService', 'Put', BlobChunk.encode({ data: noise(10) }).finish()],
    ['DirectoryService', 'Put', A.encoded],
    ['PathInfoService', 'List', ListPathInfoRequest.encode({}).finish()],
    ['NodeService', 'Import', ImportRequest.encode({ name: 'x', narSha256: absent }).finish()],
    ['NodeService', 'Fetch', FetchRequest.encode({ storePaths: [], closure: false }).finish()],
    ['NodeService', 'Status', new Uint8Array(0)],
    ['NodeService', 'Peers', new Uint8Array(0)],
    ['NodeService', 'Keys', new Uint8Array(0)],
    ['NodeService', 'Describe', DescribeRequest.encode({ storePath }).finish()],
    [
      ...(['NodeService', 'Share'] as const),
      ShareRequest.encode({ storePaths: [storePath], shared: true }).finish(),
    ],
    [
      ...(['NodeService', 'AddSignatures'] as const),
      AddSignaturesRequest.encode({ storePath, signatures: [], rootSignatures: [] }).finish(),
    ],
  ]
  test.each(writes)('%s.%s is for the owner alone', async (service, method, request) => {
    await using it = await raw(STRANGERS)
    expect(status[(await it.call(service, method, request)).code]).toBe('PERMISSION_DENIED')
    expect(await it.node.castore.directories.get(A.digest, call)).toBeUndefined()
  })

  test.each(writes)('with a token, %s.%s is for them, too', async (service, method, request) => {
    await using it = await raw({ ...STRANGERS, token: TOKEN })
    expect(status[(await it.call(service, method, request)).code]).not.toBe('PERMISSION_DENIED')
    using wrong = new RawClient({}, { address: it.node.address, token: `${TOKEN}x` })
    expect(status[(await wrong.call(service, method, request)).code]).toBe('PERMISSION_DENIED')
  })

  test('what a shared path reaches can be read by everybody', async () => {
    await using it = await raw(STRANGERS)
    const { content, root, shared } = await sharedAndPrivate(it.node)
    for (const [method, { code }] of await readAll(it, shared.storePath.hash, root, content)) {
      expect(status[code], method).toBe('OK')
    }
  })

  test('of what is private they learn as little as of what is not there', async () => {
    await using it = await raw(STRANGERS)
    const { secret, hidden, own } = await sharedAndPrivate(it.node)
    const nowhere = directoryOf({ nowhere: new FileNode(Digest.of(absent), 1, false) })
    const unknown = await readAll(it, noise(20, 'unknown'), nowhere, Digest.of(absent))
    const hex = /b3:[0-9a-f]{64}/g
    const answers = (given: typeof unknown) =>
      given.map(([method, { code, details, messages }]) => {
        return [method, code, details?.replace(hex, 'digest'), messages.length]
      })
    const told = await readAll(it, own.storePath.hash, hidden, secret)
    expect(answers(told)).toEqual(answers(unknown))
    expect(told.map(([, { code }]) => status[code])).not.toContain('OK')
    using owner = new RawClient({}, { address: it.node.address, token: TOKEN })
    const same = { call: owner.call.bind(owner) }
    for (const [method, { code }] of await readAll(same, own.storePath.hash, hidden, secret)) {
      expect(status[code], method).toBe('OK')
    }
    // Nor by what the node remembers of what it has just told its owner.
    expect(answers(await readAll(it, own.storePath.hash, hidden, secret))).toEqual(answers(unknown))
  })

  test('what is not to be shared is no better known to who brings it, signed', async () => {
    const deny = [NamePattern.parse('hidden')!]
    await using it = await raw({ ...STRANGERS, share: { deny } })
    const signer = new Signer({ key: KEYS.a })
    const put = async (pathInfo: PathInfo) => {
      const { code } = await it.call('PathInfoService', 'Put', pathInfoMessage(pathInfo))
      return status[code]
    }
    const held = await heldPathInfo(it.node.castore, 'hidden')
    expect(await put(signer.sign(held))).toBe('FAILED_PRECONDITION')
    expect(await put(signer.sign(pathInfoOf('hidden')))).toBe('FAILED_PRECONDITION')
    const open = await heldPathInfo(it.node.castore, 'open')
    expect(await put(signer.sign(open))).toBe('OK')
  })

  test('a Unix socket is this machine', async () => {
    await using it = await raw({ unix: true })
    expect((await it.call('NodeService', 'Status', new Uint8Array(0))).code).toBe(status.OK)
  })
})

const outside = Object.values(networkInterfaces())
  .flat()
  .find((it) => it?.family === 'IPv4' && !it.internal)?.address

test.skipIf(outside === undefined)('who does not come by loopback is a stranger', async () => {
  await using it = await raw({ address: { kind: 'tcp', host: '0.0.0.0', port: 0 } })
  const port = it.node.address.split(':').at(-1)
  const codes = await Promise.all(
    ['127.0.0.1', outside].map(async (host) => {
      using client = new RawClient({}, { address: `${host}:${port}` })
      return status[(await client.call('DirectoryService', 'Put', A.encoded)).code]
    }),
  )
  expect(codes).toEqual(['OK', 'PERMISSION_DENIED'])
})

test('a full disk is told as such', async () => {
  const full = Object.assign(new Error('write failed'), { code: 'ENOSPC' })
  const failing = (castore: Castore): Castore => ({
    ...castore,
    blobs: Object.assign(Object.create(castore.blobs), {
      create: () => ({
        write: () => Promise.reject(new Error('the log can not be written', { cause: full })),
        commit: () => Promise.reject(full),
        [Symbol.asyncDispose]: async () => undefined,
      }),
    }),
  })
  await using it = await raw({ around: failing })
  const chunk = BlobChunk.encode({ data: noise(10) }).finish()
  const { code, details } = await it.call('BlobService', 'Put', chunk)
  expect(status[code]).toBe('RESOURCE_EXHAUSTED')
  expect(details).toContain('no space is left on the disk of the node')
})

test('what is too long, too many or unknown is refused by gRPC’s own codes', async () => {
  await using it = await raw()
  const long = BlobChunk.encode({ data: Buffer.alloc(MESSAGE_BYTES_MAX) }).finish()
  expect(status[(await it.call('BlobService', 'Put', long)).code]).toBe('RESOURCE_EXHAUSTED')
  const unknown = { path: '/tvix.castore.v1.BlobService/Delete' }
  const code = await new Promise((resolve) => {
    const same = (bytes: Buffer): Buffer => bytes
    it.client.client.makeUnaryRequest(unknown.path, same, same, Buffer.alloc(0), (error) =>
      resolve(error?.code),
    )
  })
  expect(code).toBe(status.UNIMPLEMENTED)
})
