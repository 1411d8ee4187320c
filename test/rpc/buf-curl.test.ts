import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testNode } from './test-node.ts'

/*
 * A client of other people's making, in another language, which knows none of the protos: `buf
 * curl`, which asks the server's reflection how to call it, as grpcurl and evans do.
 */
const BUF = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'buf')

const execute = promisify(execFile)

let node: Awaited<ReturnType<typeof testNode>>
beforeAll(async () => {
  node = await testNode()
})
afterAll(async () => await node[Symbol.asyncDispose]())

/** Calls a method; says what came back, each message in its JSON form. */
async function curl(method: string, request: unknown, ...flags: string[]): Promise<unknown[]> {
  const url = `http://${node.address}/${method}`
  const base = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', ...flags]
  const data = Array.isArray(request) ? request : [request]
  const args = [...base, '--data', data.map((it) => JSON.stringify(it)).join('\n'), url]
  const { stdout } = await execute(BUF, args)
  return stdout
    .split(/^(?=\{)/m)
    .filter((it) => it.trim() !== '')
    .map((it) => JSON.parse(it))
}

test.each(['grpc-v1', 'grpc-v1alpha'])('it finds every service by reflection %s', async (which) => {
  const flags = ['--protocol', 'grpc', '--http2-prior-knowledge', '--reflect-protocol', which]
  const url = `http://${node.address}`
  const { stdout } = await execute(BUF, ['curl', ...flags, '--list-methods', url])
  const services = [
    'castore.v1.BlobService',
    'castore.v1.DirectoryService',
    'store.v1.PathInfoService',
  ]
  for (const family of ['tvix', 'snix']) {
    for (const service of services) expect(stdout).toContain(`${family}.${service}/Put`)
  }
  expect(stdout).toContain('grpc.health.v1.Health/Check')
})

test.each(['tvix', 'snix'])('it puts a blob and reads it back by its %s name', async (family) => {
  const service = `${family}.castore.v1.BlobService`
  const digest = 'KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA='
  const pieces = [{ data: 'eDg2' }, { data: 'XzY0LWxpbnV4' }]
  expect(await curl(`${service}/Put`, pieces)).toEqual([{ digest }])
  expect(await curl(`${service}/Read`, { digest })).toEqual([{ data: 'eDg2XzY0LWxpbnV4' }])
  const [stat] = await curl(`${service}/Stat`, { digest, sendChunks: true })
  expect(stat).toEqual({ chunks: [{ digest, size: '12' }] })
})

test.each(['tvix', 'snix'])('it puts Directories and measures their NAR, %s', async (family) => {
  const service = `${family}.castore.v1.DirectoryService`
  const empty = base64('af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')
  const parent = { directories: [{ name: 'YQ==', digest: empty }] }
  const [put] = (await curl(`${service}/Put`, [{}, parent])) as [{ rootDigest: string }]
  expect(put.rootDigest).toBe(
    base64('8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc'),
  )
  const closure = await curl(`${service}/Get`, { digest: put.rootDigest, recursive: true })
  expect(closure).toEqual([parent, {}])
  const nar = `${family}.store.v1.PathInfoService/CalculateNAR`
  const [measure] = await curl(nar, { directory: { digest: empty, size: '0' } })
  const narSha256 = base64('a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a')
  expect(measure).toEqual({ narSize: '96', narSha256 })
})

test('it is told in words, with the status of gRPC, what is wrong', async () => {
  const wrong = curl('tvix.castore.v1.BlobService/Read', { digest: 'AAAA' })
  await expect(wrong).rejects.toThrow(/invalid_argument[\s\S]*a digest has 32 bytes, not 3/)
  const digest = Buffer.alloc(32).toString('base64')
  const absent = curl('snix.castore.v1.DirectoryService/Get', { digest })
  await expect(absent).rejects.toThrow(/not_found/)
})

test('the server says that it is well', async () => {
  const service = 'snix.castore.v1.BlobService'
  expect(await curl('grpc.health.v1.Health/Check', { service })).toEqual([{ status: 'SERVING' }])
})

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64')
}
