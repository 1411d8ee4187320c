import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { until } from '../fixtures/await-peers.ts'
import { noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { packed } from '../nar/packed.ts'
import { directory, file, narOf } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { type TestGateway, testGateway } from './test-gateway.ts'
import { NAR_INFO_PATH, narInfo, put, putNar, sha256 } from './uploading.ts'

const DERIVATION = `${'0'.repeat(32)}-hello.drv`
const OUT_PATH = `${'1'.repeat(32)}-hello`
const ID = `sha256:${'ab'.repeat(32)}!out`
const BUILD_ID = 'cd'.repeat(20)

const LOG = Buffer.from(`building\n${'a line of a log\n'.repeat(100_000)}`)
const REALISATION = JSON.stringify({ id: ID, outPath: OUT_PATH, signatures: [] })
const TRACE = JSON.stringify({ outPath: OUT_PATH, signatures: [] })
const DEBUG_INFO = JSON.stringify({ archive: '../nar/x.nar.xz', member: 'lib/debug/x.debug' })

const DOCUMENTS: [path: string, body: Buffer | string, type: string][] = [
  [`/log/${DERIVATION}`, LOG, 'text/plain; charset=utf-8'],
  [`/realisations/${ID}.doi`, REALISATION, 'application/json'],
  [`/realisations/${encodeURIComponent(ID)}.doi`, REALISATION, 'application/json'],
  [`/build-trace-v2/${DERIVATION}/out.doi`, TRACE, 'application/json'],
  [`/debuginfo/${BUILD_ID}`, DEBUG_INFO, 'application/json'],
  [`/debuginfo/${BUILD_ID}.debug`, DEBUG_INFO, 'application/json'],
]

test.each(DOCUMENTS)('%s is absent, then put, then there, also after a restart', async (...it) => {
  const [path, body, type] = it
  await using state = await temporaryDirectory()
  const init = { storage: 'segments', directory: state.path } as const
  {
    await using gateway = await testGateway(init)
    for (const method of ['GET', 'HEAD']) {
      expect((await rawHttp(gateway.port, path, { method })).status).toBe(404)
    }
    expect((await put(gateway, path, 'x'.repeat(100))).status).toBe(
      path.startsWith('/log') ? 204 : 400,
    )
    expect((await put(gateway, path, body)).status).toBe(204)
  }
  await using gateway = await testGateway(init)
  const got = await rawHttp(gateway.port, path)
  expect(got.status).toBe(200)
  expect(got.headers['content-type']).toBe(type)
  expect(got.body.equals(Buffer.from(body))).toBe(true)
  const head = await rawHttp(gateway.port, path, { method: 'HEAD' })
  expect(head.headers['content-length']).toBe(`${body.length}`)
  const part = await rawHttp(gateway.port, path, { headers: { range: 'bytes=5-9' } })
  expect(part.body.equals(Buffer.from(body).subarray(5, 10))).toBe(true)
})

test('debug info has one name, with or without its ending', async () => {
  await using gateway = await testGateway()
  expect((await put(gateway, `/debuginfo/${BUILD_ID}.debug`, DEBUG_INFO)).status).toBe(204)
  expect((await rawHttp(gateway.port, `/debuginfo/${BUILD_ID}`)).status).toBe(200)
})

test.each([
  ['gzip', gzipSync(LOG)],
  ['br', brotliCompressSync(LOG)],
  ['zstd', zstdCompressSync(LOG)],
  ['xz', await packed(LOG, 'xz')],
])('a log that comes by %s is kept as it is without', async (coding, bytes) => {
  await using gateway = await testGateway()
  const headers = { 'content-encoding': coding }
  expect((await put(gateway, `/log/${DERIVATION}`, bytes, { headers })).status).toBe(204)
  const got = await rawHttp(gateway.port, `/log/${DERIVATION}`)
  expect(got.headers['content-encoding']).toBeUndefined()
  expect(got.body.equals(LOG)).toBe(true)
})

describe('limits', () => {
  const limits = { logBytesMax: 10_000, smallDocumentBytesMax: 1_000, listingBytesMax: 10_000 }
  const encoded = { 'content-encoding': 'gzip' }

  test.each([
    [`/log/${DERIVATION}`, Buffer.alloc(10_001), {}, 413],
    [`/log/${DERIVATION}`, gzipSync(Buffer.alloc(10_001)), encoded, 413],
    [`/log/${DERIVATION}`, Buffer.alloc(10_000), {}, 204],
    [`/log/${DERIVATION}`, gzipSync(Buffer.alloc(10_000)), encoded, 204],
    [`/log/${DERIVATION}`, gzipSync(noise(5_000)).subarray(0, 3_000), encoded, 400],
    [`/log/${DERIVATION}`, noise(100), encoded, 400],
    [`/log/${DERIVATION}`, noise(100), { 'content-encoding': 'compress' }, 400],
    [`/realisations/${ID}.doi`, REALISATION + ' '.repeat(1_000), {}, 413],
    [`/${'0'.repeat(32)}.ls`, Buffer.alloc(10_001), {}, 413],
    [`/${'0'.repeat(32)}.ls`, gzipSync(Buffer.alloc(10_001)), encoded, 413],
    [`/${'0'.repeat(32)}.ls`, gzipSync(Buffer.alloc(9_000)), encoded, 204],
  ])('PUT %s (%#)', async (path, body, headers, status) => {
    await using gateway = await testGateway({ limits })
    const answer = await put(gateway, path, body, { headers: { ...headers } })
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status })
    if (path.endsWith('.ls') || status === 204) return
    expect((await rawHttp(gateway.port, path)).status).toBe(404)
  })
})

test('a body that says nothing of its length, and unpacks to nothing, ends as well', async () => {
  await using gateway = await testGateway({ limits: { logBytesMax: 10_000 } })
  const nothing = gzipSync(Buffer.of())
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 1_000; i++) yield nothing
  }
  const response = await fetch(`${gateway.url}/log/${DERIVATION}`, {
    method: 'PUT',
    headers: { 'content-encoding': 'gzip' },
    body: endless(),
    duplex: 'half',
  } as RequestInit)
  expect(response.status).toBe(413)
})

test.each([
  ['/log/hello.drv', 'x', 'hash'],
  [`/log/${OUT_PATH}`, 'x', '.drv'],
  ['/log/..%2f..%2fetc%2fpasswd', 'x', 'hash'],
  [`/log/${DERIVATION}%00`, 'x', 'letters'],
  [`/log/${'0'.repeat(32)}-${'x'.repeat(300)}.drv`, 'x', '211'],
  ['/realisations/a.doi', REALISATION, '64'],
  [`/realisations/${ID}`, REALISATION, '.doi'],
  [`/realisations/${ID}%2f..%2fx.doi`, REALISATION, '64'],
  [`/realisations/${ID.replace('ab', 'cd')}.doi`, REALISATION, 'another output'],
  [`/realisations/${ID}.doi`, '{', 'JSON'],
  [`/realisations/${ID}.doi`, '[]', 'JSON object'],
  [`/realisations/${ID}.doi`, JSON.stringify({ id: ID }), 'outPath'],
  [`/realisations/${ID}.doi`, JSON.stringify({ id: ID, outPath: '../x' }), 'outPath'],
  [`/realisations/${ID}.doi`, Buffer.of(0xff, 0xfe), 'UTF-8'],
  [`/build-trace-v2/hello.drv/out.doi`, TRACE, 'hash'],
  [`/build-trace-v2/${DERIVATION}/out`, TRACE, '.doi'],
  [`/build-trace-v2/${DERIVATION}/..%2fout.doi`, TRACE, '.doi'],
  [`/build-trace-v2/${DERIVATION}/out.doi`, 'null', 'JSON object'],
  ['/debuginfo/xyz', DEBUG_INFO, 'hexadecimal'],
  [`/debuginfo/${'ab'.repeat(100)}`, DEBUG_INFO, 'hexadecimal'],
  [`/debuginfo/${BUILD_ID}`, JSON.stringify({ archive: 'https://x/', member: 'x' }), 'archive'],
  [`/debuginfo/${BUILD_ID}`, JSON.stringify({ archive: '../nar/../../x', member: 'x' }), 'archive'],
  [`/debuginfo/${BUILD_ID}`, JSON.stringify({ archive: '../nar/x', member: '../x' }), 'member'],
  [`/debuginfo/${BUILD_ID}`, JSON.stringify({ archive: '../nar/x', member: '/x' }), 'member'],
])('PUT %s is refused with what would be right (%#)', async (path, body, word) => {
  await using gateway = await testGateway()
  const { status, text } = await put(gateway, path, body)
  expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(word) })
  expect((await rawHttp(gateway.port, path)).status).toBe(404)
})

describe('debug info in a path', () => {
  const tree = directory({
    lib: directory({
      debug: directory({
        '.build-id': directory({
          ab: directory({ [`${'0'.repeat(38)}.debug`]: file('debug info'), x: file('none') }),
          cd: directory({ [`${'1'.repeat(38)}.debug`]: directory({}) }),
          xyz: directory({ [`${'2'.repeat(38)}.debug`]: file('none') }),
        }),
      }),
    }),
  })
  const nar = narOf(tree)
  const buildId = `ab${'0'.repeat(38)}`

  async function expectFound(gateway: TestGateway): Promise<void> {
    const { body } = await rawHttp(gateway.port, `/debuginfo/${buildId}`)
    const { archive, member } = JSON.parse(body.toString())
    expect(member).toBe(`lib/debug/.build-id/ab/${'0'.repeat(38)}.debug`)
    const found = await fetch(new URL(archive, `${gateway.url}/debuginfo/${buildId}`))
    expect(Buffer.from(await found.arrayBuffer()).equals(nar)).toBe(true)
    for (const none of [`cd${'1'.repeat(38)}`, `2${'2'.repeat(39)}`]) {
      expect((await rawHttp(gateway.port, `/debuginfo/${none}`)).status).toBe(404)
    }
  }

  test('that is uploaded is found once that is done, and leads to its file', async () => {
    await using gateway = await testGateway()
    const { file: uploaded } = await putNar(gateway, 'none', { nar })
    const info = narInfo({ ...uploaded, narSha256: sha256(nar), narSize: nar.length })
    expect((await put(gateway, NAR_INFO_PATH, info)).status).toBe(204)
    await expectFound(gateway)
  })

  test('that comes by another way is found, too', async () => {
    await using gateway = await testGateway()
    await gateway.hold('debug', tree)
    const isThere = async () =>
      (await rawHttp(gateway.port, `/debuginfo/${buildId}`)).status === 200
    await until(isThere)
    await expectFound(gateway)
  })
})
