import { credentials, Metadata, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { toWireNode } from '../../src/castore/model/directory-codec.ts'
import { FileNode } from '../../src/castore/model/node.ts'
import { Digest } from '../../src/foundation/digest.ts'
import { Directory as WireDirectory } from '../../src/generated/tvix/castore/v1/castore.ts'
import {
  BlobServiceClient,
  type PutBlobResponse,
} from '../../src/generated/tvix/castore/v1/rpc_blobstore.ts'
import {
  DirectoryServiceClient,
  type PutDirectoryResponse,
} from '../../src/generated/tvix/castore/v1/rpc_directory.ts'
import type { PathInfo as WirePathInfo } from '../../src/generated/tvix/store/v1/pathinfo.ts'
import {
  type CalculateNARResponse,
  PathInfoServiceClient,
} from '../../src/generated/tvix/store/v1/rpc_pathinfo.ts'
import { toWireSigned } from '../../src/pathinfo/path-info-codec.ts'
import { heldPathInfo } from '../contracts/path-info-store-contract.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { DIRECTORIES } from '../fixtures/directories.ts'
import { REFLECTION_VERSIONS, reflect } from './reflecting-client.ts'
import { testNode } from './test-node.ts'

const { A, B, COMPLICATED, KEEP } = DIRECTORIES

const base64 = (text: string): Buffer => Buffer.from(text, 'base64')

test('everything is described, by both versions of reflection', async () => {
  await using node = await testNode()
  for (const version of REFLECTION_VERSIONS) {
    using reflected = await reflect(node.address, version)
    expect(reflected.services.toSorted()).toEqual([
      'cairn.node.v1.NodeService',
      'grpc.health.v1.Health',
      'snix.castore.v1.BlobService',
      'snix.castore.v1.DirectoryService',
      'snix.store.v1.PathInfoService',
      'tvix.castore.v1.BlobService',
      'tvix.castore.v1.DirectoryService',
      'tvix.store.v1.PathInfoService',
    ])
    expect(describeAll(reflected.files)).toMatchSnapshot('descriptors')
  }
})

for (const family of ['tvix', 'snix'] as const) {
  test(`one who knows no .proto calls every method of ${family}`, async () => {
    await using node = await testNode()
    using reflected = await reflect(node.address)
    const blobs = `${family}.castore.v1.BlobService`
    const content = base64('eDg2XzY0LWxpbnV4')
    const { digest } = await reflected.upload(blobs, 'Put', [{ data: content }])
    expect(digest).toEqual(base64('KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA='))
    expect(await reflected.download(blobs, 'Read', { digest })).toEqual([{ data: content }])
    const stat = await reflected.unary(blobs, 'Stat', { digest, send_chunks: true })
    expect(stat).toMatchObject({ chunks: [{ digest, size: content.length }] })

    const directories = `${family}.castore.v1.DirectoryService`
    const put = await reflected.upload(directories, 'Put', [KEEP, COMPLICATED].map(wireOf))
    expect(put.root_digest).toEqual(Buffer.from(COMPLICATED.digest.bytes))
    const get = { digest: put.root_digest, recursive: true }
    const got = await reflected.download(directories, 'Get', get)
    expect(got).toEqual([COMPLICATED, KEEP].map(wireOf))

    const paths = `${family}.store.v1.PathInfoService`
    const root = { directory: { name: Buffer.from(''), digest: COMPLICATED.digest.bytes, size: 4 } }
    const nar = await reflected.unary(paths, 'CalculateNAR', root)
    expect(nar).toEqual({
      nar_size: 840,
      nar_sha256: Buffer.from(
        'ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a',
        'hex',
      ),
    })
    const { storePath } = await heldPathInfo(node.castore, 'one')
    const named = { ...root.directory, name: Buffer.from(storePath.baseName) }
    const pathInfo = { node: { directory: named }, narinfo: nar }
    const stored = await reflected.unary(paths, 'Put', pathInfo)
    expect(stored).toMatchObject({ ...pathInfo, references: [] })
    expect(await reflected.unary(paths, 'Get', { by_output_hash: storePath.hash })).toEqual(stored)
    expect(await reflected.download(paths, 'List', {})).toEqual([stored])
  })
}

test('one who knows no .proto calls health and the node’s own service', async () => {
  await using node = await testNode()
  using reflected = await reflect(node.address)
  for (const service of ['', ...reflected.services.filter((it) => !it.startsWith('grpc.'))]) {
    const health = await reflected.unary('grpc.health.v1.Health', 'Check', { service })
    expect(health, service).toEqual({ status: 'SERVING' })
  }
  const unknown = reflected.unary('grpc.health.v1.Health', 'Check', { service: 'x' })
  await expect(unknown).rejects.toMatchObject({ code: status.NOT_FOUND })
  const { statuses } = await reflected.unary('grpc.health.v1.Health', 'List', {})
  expect(Object.keys(statuses as object)).toHaveLength(8)
  const own = 'cairn.node.v1.NodeService'
  expect(await reflected.unary(own, 'Status', {})).toMatchObject({ version: '1.2.3' })
  expect(await reflected.unary(own, 'Peers', {})).toMatchObject({ peers: [{}, {}] })
  expect(await reflected.unary(own, 'Keys', {})).toMatchObject({ trusted: ['a', 'b'] })
  const store_path = pathNamed('absent').toString()
  expect(await reflected.unary(own, 'Describe', { store_path })).toEqual({ path_info: null })
  expect(await reflected.download(own, 'Fetch', { store_paths: [] })).not.toEqual([])
  const wrong = reflected.unary(own, 'Import', { name: 'x', nar_sha256: Buffer.alloc(32) })
  await expect(wrong).rejects.toMatchObject({ code: status.NOT_FOUND })
  const adding = reflected.unary(own, 'AddSignatures', { store_path })
  await expect(adding).rejects.toMatchObject({ code: status.NOT_FOUND })
})

test('a client made of the .proto calls every method', async () => {
  await using node = await testNode()
  const insecure = credentials.createInsecure()
  const blobs = new BlobServiceClient(node.address, insecure)
  const directories = new DirectoryServiceClient(node.address, insecure)
  const paths = new PathInfoServiceClient(node.address, insecure)
  const bytes = Buffer.from('Hello World!')
  const { digest } = await answered<PutBlobResponse>((done) => {
    const stream = blobs.put(done)
    for (const byte of bytes) stream.write({ data: Buffer.of(byte) })
    stream.end()
  })
  expect(Digest.of(digest).hex).toMatch(/^5ca7815adcb4/)
  const read: Uint8Array[] = []
  for await (const { data } of blobs.read({ digest })) read.push(data)
  expect(Buffer.concat(read)).toEqual(bytes)
  await answered((done) => blobs.stat({ digest, sendChunks: true, sendBao: true }, done))

  const root = await answered<PutDirectoryResponse>((done) => {
    const stream = directories.put(done)
    for (const it of [A, B]) stream.write(WireDirectory.decode(it.encoded))
    stream.end()
  })
  expect(Digest.of(root.rootDigest).hex).toBe(B.digest.hex)
  const byWhat = { $case: 'digest' as const, digest: root.rootDigest }
  const got: WireDirectory[] = []
  for await (const it of directories.get({ byWhat, recursive: false })) got.push(it)
  expect(got).toHaveLength(1)

  const file = toWireNode(Buffer.from('any name'), new FileNode(Digest.of(digest), 12, false))
  const nar = await answered<CalculateNARResponse>((done) => paths.calculateNar(file, done))
  expect(nar.narSize).toBe(128)
  expect(Buffer.from(nar.narSha256).toString('hex')).toMatch(/^03e7f63be30b065d/)
  const pathInfo = await heldPathInfo(node.castore, 'one')
  const stored = await answered<WirePathInfo>((done) =>
    paths.put(toWireSigned(pathInfo).pathInfo!, done),
  )
  expect(stored.narinfo?.narSize).toBe(pathInfo.narSize)
  const byHash = { $case: 'byOutputHash' as const, byOutputHash: pathInfo.storePath.hash }
  expect(await answered((done) => paths.get({ byWhat: byHash }, done))).toEqual(stored)
  const listed: WirePathInfo[] = []
  for await (const it of paths.list({})) listed.push(it)
  expect(listed).toEqual([stored])
  for (const client of [blobs, directories, paths]) client.close()
})

test('NARs of Directories are what is known of them', async () => {
  await using node = await testNode()
  using reflected = await reflect(node.address)
  await node.castore.directories.put([A], call)
  const nar = await reflected.unary('snix.store.v1.PathInfoService', 'CalculateNAR', {
    directory: { digest: A.digest.bytes, size: 0 },
  })
  expect(nar).toMatchObject({ nar_size: 96 })
  const symlink = { symlink: { target: Buffer.from('/nix/store/somewhereelse') } }
  const link = await reflected.unary('tvix.store.v1.PathInfoService', 'CalculateNAR', symlink)
  expect((link.nar_sha256 as Buffer).toString('hex')).toMatch(/^097d397e9b582638/)
})

test('a token in the metadata of a call is no obstacle', async () => {
  await using node = await testNode()
  using reflected = await reflect(node.address)
  const metadata = new Metadata()
  metadata.set('authorization', 'Bearer nonsense')
  const own = 'cairn.node.v1.NodeService'
  expect(await reflected.unary(own, 'Keys', {}, metadata)).toBeDefined()
})

function answered<A>(ask: (done: (error: unknown, answer: A) => void) => unknown): Promise<A> {
  return new Promise((resolve, reject) => {
    ask((error, answer) => (error === null ? resolve(answer) : reject(error)))
  })
}

/** A Directory message as a reflecting client has it. */
function wireOf(directory: { readonly encoded: Uint8Array }): Record<string, unknown> {
  const { directories, files, symlinks } = WireDirectory.decode(directory.encoded)
  const buffers = (message: object): object =>
    Object.fromEntries(
      Object.entries(message).map(([key, value]) => [
        key,
        value instanceof Uint8Array ? Buffer.from(value) : value,
      ]),
    )
  return {
    directories: directories.map(buffers),
    files: files.map(buffers),
    symlinks: symlinks.map(buffers),
  }
}

/** Each service, message and field of all files, a line each: what clients rely on. */
function describeAll(
  files: Awaited<ReturnType<typeof reflect>>['files'],
): Record<string, string[]> {
  const described: Record<string, string[]> = {}
  for (const file of files) {
    for (const service of file.services) {
      described[service.typeName] = service.methods.map(
        (it) => `${it.name}: ${it.methodKind} ${it.input.typeName} -> ${it.output.typeName}`,
      )
    }
    const visit = (messages: typeof file.messages, enums: typeof file.enums): void => {
      for (const it of enums) {
        described[it.typeName] = it.values.map(({ name, number }) => `${name} = ${number}`)
      }
      for (const message of messages) {
        described[message.typeName] = message.fields.map((field) => {
          const { name, number, proto, oneof } = field
          const type = proto.typeName === '' ? `scalar ${proto.type}` : proto.typeName
          const within = oneof === undefined ? '' : ` in ${oneof.name}`
          return `${number} ${name}: ${field.fieldKind} ${type}${within}`
        })
        visit(message.nestedMessages, message.nestedEnums)
      }
    }
    visit(file.messages, file.enums)
  }
  return described
}
