import { credentials, type ServiceError, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { utf8Bytes } from '../../src/foundation/bytes.ts'
import { NodeServiceClient } from '../../src/generated/cairn/node/v1/node.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { NodeClientError } from '../../src/rpc/node-client.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { allBytes, call, collect, noise } from '../fixtures/content.ts'
import { directory, file, inPieces, narOf, symlink } from '../nar/trees.ts'
import { testNode } from './test-node.ts'

const PATH = pathNamed('tree').toString()
const LARGE = noise(1_000_000, 'large')
const MANY = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${i}`, file('')]))
const TREE = directory({
  large: file(LARGE, true),
  link: symlink('large'),
  many: directory(MANY),
  out: symlink('/etc'),
})

async function holding(isLocal?: () => boolean) {
  const node = await testNode(isLocal === undefined ? {} : { isLocal })
  const nar = await ingestNar(inPieces(narOf(TREE), [1 << 20]), node.castore, call)
  await node.intake.take({ storePath: pathNamed('tree'), references: [], ...nar }, call)
  return node
}

/** gRPC's own status of both calls for a path. */
async function statusesOf(address: string, path: string): Promise<unknown[]> {
  const client = new NodeServiceClient(address, credentials.createInsecure())
  const codeOf = (stream: ReturnType<typeof client.cat> | ReturnType<typeof client.list>) =>
    new Promise<string>((resolve) => {
      stream.on('data', () => undefined)
      stream.on('error', (error: ServiceError) => resolve(status[error.code]!))
      stream.on('end', () => resolve('OK'))
    })
  const bytes = utf8Bytes(path)
  const codes = [
    await codeOf(client.cat({ path: bytes, offset: 0 })),
    await codeOf(client.list({ path: bytes, recursive: true })),
  ]
  client.close()
  return codes
}

test('a file is read, or a range of it', async () => {
  await using node = await holding()
  for (const inside of ['large', 'link']) {
    for (const [offset, length] of [
      [0, undefined],
      [0, 10],
      [400_000, 300_000],
      [999_999, 2],
      [1_000_000, undefined],
      [2 ** 40, 2 ** 40],
      [5, 0],
    ] as const) {
      const path = utf8Bytes(`${PATH}/${inside}`)
      const read = await allBytes(node.client.cat(path, { offset, length }, call))
      const end = length === undefined ? undefined : offset + length
      expect(read.equals(LARGE.subarray(offset, end)), `${length} from ${offset}`).toBe(true)
    }
  }
})

test('a directory is listed, in as many messages as it takes', async () => {
  await using node = await holding()
  const list = async (inside: string, isRecursive: boolean) =>
    await collect(node.client.list(utf8Bytes(`${PATH}${inside}`), { isRecursive }, call))
  const top = await list('', false)
  expect(top.map(({ path }) => String(Buffer.from(path)))).toEqual(['large', 'link', 'many', 'out'])
  expect(top[0]!.node).toMatchObject({ type: 'file', size: LARGE.length, executable: true })
  expect(top[1]!.node).toMatchObject({ type: 'symlink' })
  expect(await list('/many', false)).toHaveLength(600)
  expect(await list('', true)).toHaveLength(604)
})

test.each([
  ['/', ['FAILED_PRECONDITION', 'OK']],
  ['/large', ['OK', 'OK']],
  ['/nothing', ['NOT_FOUND', 'NOT_FOUND']],
  ['/large/x', ['FAILED_PRECONDITION', 'FAILED_PRECONDITION']],
  ['/out', ['FAILED_PRECONDITION', 'OK']],
  ['/out/x', ['FAILED_PRECONDITION', 'FAILED_PRECONDITION']],
  ['x', ['NOT_FOUND', 'NOT_FOUND']],
])('what comes of a call for %s: %j', async (inside, expected) => {
  await using node = await holding()
  expect(await statusesOf(node.address, `${PATH}${inside}`)).toEqual(expected)
})

test('what is no path in the store is the client’s fault', async () => {
  await using node = await testNode()
  for (const path of ['', '/', '/etc/passwd', '/nix/store']) {
    expect(await statusesOf(node.address, path)).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT'])
  }
})

test('others than the owner read nothing by these calls', async () => {
  await using node = await holding(() => false)
  expect(await statusesOf(node.address, PATH)).toEqual(['PERMISSION_DENIED', 'PERMISSION_DENIED'])
})

test('a reader that leaves ends the call', async () => {
  await using node = await holding()
  const abort = new AbortController()
  const reason = new Error('read enough')
  const reading = async (): Promise<void> => {
    const path = utf8Bytes(`${PATH}/large`)
    for await (const _ of node.client.cat(path, { offset: 0 }, { signal: abort.signal })) {
      abort.abort(reason)
    }
  }
  await expect(reading()).rejects.toBe(reason)
})

test('words of the node come along', async () => {
  await using node = await holding()
  const reading = allBytes(node.client.cat(utf8Bytes(`${PATH}/many`), { offset: 0 }, call))
  const error = await reading.catch((thrown) => thrown)
  expect(error).toBeInstanceOf(NodeClientError)
  expect(error.unreachable).toBe(false)
  expect(error.message).toContain('it is a directory')
})
