import { Agent } from 'node:http'
import { describe, expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import { parseCacheInfo } from '../../src/nix/cache-info.ts'
import { parseNarInfo } from '../../src/nix/nar-info.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { noise } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { COMPLICATED, directory, file, narOf, SMALL, symlink, type Tree } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import {
  type ForgetfulRecordStore,
  narInfoUrl,
  type TestGateway,
  testGateway,
} from './test-gateway.ts'

const MIB = 1024 * 1024

const large = directory({ large: file(noise(8 * MIB, 'large')), link: symlink('large') })

async function narUrlOf(gateway: TestGateway, { storePath }: PathInfo): Promise<string> {
  const response = await fetch(narInfoUrl(gateway, storePath))
  return `${gateway.url}/${parseNarInfo(await response.text()).url}`
}

function rootUrl(gateway: TestGateway, { node }: PathInfo, form = 'snix'): string {
  const root = Buffer.from(encodeRoot(node)).toString('base64url')
  return `${gateway.url}/nar/${form}-castore/${root}`
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer())
}

test('the cache says what it is, to GET and HEAD', async () => {
  await using gateway = await testGateway()
  const response = await fetch(`${gateway.url}/nix-cache-info`)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toContain('text/x-nix-cache-info')
  const info = parseCacheInfo(await response.text())
  expect(info).toMatchObject({ storeDirectory: '/nix/store', wantMassQuery: true })
  expect(info.priority).toBeLessThan(40)
  expect((await fetch(`${gateway.url}/nix-cache-info`, { method: 'HEAD' })).status).toBe(200)
})

test('a narinfo says all of its path, to GET and HEAD', async () => {
  await using gateway = await testGateway()
  const { storePath, narSize, narSha256 } = await gateway.hold('small', SMALL)
  const response = await fetch(narInfoUrl(gateway, storePath))
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toContain('text/x-nix-narinfo')
  const text = await response.text()
  expect(text.endsWith('\n')).toBe(true)
  expect(text).toMatch(/^References: $/m)
  const info = parseNarInfo(text)
  expect(info).toMatchObject({ compression: 'none', narSize, fileSize: narSize })
  expect(info.storePath.equals(storePath)).toBe(true)
  expect(Buffer.from(info.narSha256).equals(narSha256)).toBe(true)
  const head = await fetch(narInfoUrl(gateway, storePath), { method: 'HEAD' })
  expect(head.status).toBe(200)
  expect(head.headers.get('content-length')).toBe(`${text.length}`)
  expect(await head.text()).toBe('')
})

test('a path that is not here is a 404, thousands of times a second', async () => {
  await using gateway = await testGateway()
  const agent = new Agent({ keepAlive: true, maxSockets: 25 })
  const start = performance.now()
  const answers = await Promise.all(
    Array.from({ length: 2_000 }, (_, i) =>
      rawHttp(gateway.port, `/${pathNamed(`absent-${i}`).hashText}.narinfo`, { agent }),
    ),
  )
  const tookMs = performance.now() - start
  agent.destroy()
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
  expect(tookMs).toBeLessThan(10_000) // a bound against a wait in each, not a figure to be proud of
})

const TREES: Record<string, Tree> = {
  small: SMALL,
  complicated: COMPLICATED,
  file: file('one file', true),
  symlink: symlink('/nix/store/somewhereelse'),
  large,
}

describe.each(['memory', 'segments'] as const)('from %s', (storage) => {
  test.each(Object.keys(TREES))('the NAR of %s comes whole, by each of its URLs', async (name) => {
    await using gateway = await testGateway({ storage })
    const nar = narOf(TREES[name]!)
    const pathInfo = await gateway.hold(name, TREES[name]!)
    const urls = [await narUrlOf(gateway, pathInfo)]
    for (const form of ['snix', 'tvix']) {
      urls.push(rootUrl(gateway, pathInfo, form), `${rootUrl(gateway, pathInfo, form)}?narsize=1`)
    }
    for (const url of urls) {
      for (const method of ['GET', 'HEAD']) {
        const response = await fetch(url, { method })
        expect(response.status).toBe(200)
        expect(response.headers.get('content-type')).toBe('application/x-nix-nar')
        expect(response.headers.get('content-length')).toBe(`${nar.length}`)
        expect(response.headers.get('accept-ranges')).toBe('bytes')
        expect(response.headers.get('content-encoding')).toBeNull()
        expect((await bytesOf(response)).equals(method === 'GET' ? nar : Buffer.of())).toBe(true)
      }
    }
  })
})

test('of a NAR, any one range comes', async () => {
  await using gateway = await testGateway()
  const nar = narOf(large)
  const url = await narUrlOf(gateway, await gateway.hold('large', large))
  const end = nar.length - 1
  const ranges: [string, number, number][] = [
    ['0-0', 0, 0],
    ['0-1023', 0, 1023],
    ['100-', 100, end],
    ['5000000-5000099', 5_000_000, 5_000_099],
    [`${end}-`, end, end],
    [`${end - 5}-${end + 5}`, end - 5, end],
    ['-1', end, end],
    ['-1000', end - 999, end],
    [`-${nar.length + 1}`, 0, end],
  ]
  for (const [range, first, last] of ranges) {
    const response = await fetch(url, { headers: { range: `bytes=${range}` } })
    expect(response.status, range).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${first}-${last}/${nar.length}`)
    expect(response.headers.get('content-length')).toBe(`${last - first + 1}`)
    expect((await bytesOf(response)).equals(nar.subarray(first, last + 1)), range).toBe(true)
  }
  for (const passedOver of ['bytes=0-1,x', 'lines=1-2', 'bytes=9-2']) {
    const response = await fetch(url, { headers: { range: passedOver } })
    expect(response.status).toBe(200)
    expect((await bytesOf(response)).length).toBe(nar.length)
  }
  for (const range of [`${nar.length}-`, '-0', '99999999999999999999-']) {
    const response = await fetch(url, { headers: { range: `bytes=${range}` } })
    expect(response.status, range).toBe(416)
    expect(response.headers.get('content-range')).toBe(`bytes */${nar.length}`)
  }
})

test('content that goes missing breaks the answer off, and never ends it as if it were whole', async () => {
  await using gateway = await testGateway()
  const records = gateway.records as ForgetfulRecordStore
  const nar = narOf(large)
  const url = new URL(await narUrlOf(gateway, await gateway.hold('large', large)))
  const get = () => rawHttp(gateway.port, url.pathname + url.search)
  expect(await get()).toMatchObject({ status: 200, whole: true })
  let broken = 0
  for (const chunksLeft of [0, 1, 5, 12]) {
    records.chunksLeft = chunksLeft
    const answer = await get().catch(() => undefined) // cut before its head was sent
    records.chunksLeft = Number.POSITIVE_INFINITY
    if (answer === undefined || answer.status !== 200) continue
    broken++
    expect(answer.whole).toBe(false)
    expect(answer.body.length).toBeLessThan(nar.length)
    expect(answer.body.equals(nar.subarray(0, answer.body.length))).toBe(true)
  }
  expect(broken).toBeGreaterThan(0)
  expect((await get()).body.equals(nar)).toBe(true)
})

test('a root that is not here is a 404, also where the path is not known', async () => {
  await using gateway = await testGateway()
  await using other = await testGateway()
  const pathInfo = await other.hold('small', SMALL)
  const inFile = await other.hold('file', file(noise(1000)))
  for (const { node, storePath } of [pathInfo, inFile]) {
    for (const method of ['GET', 'HEAD']) {
      const url = rootUrl(gateway, { node } as PathInfo)
      expect((await fetch(url, { method })).status).toBe(404)
      expect((await fetch(`${url}?path=${storePath.hashText}`, { method })).status).toBe(404)
    }
  }
})

test('a URL that was given out stays good after a restart', async () => {
  await using directory = await temporaryDirectory()
  const init = { storage: 'segments', directory: directory.path } as const
  let url: URL
  {
    await using first = await testGateway(init)
    url = new URL(await narUrlOf(first, await first.hold('small', SMALL)))
  }
  await using second = await testGateway(init)
  const again = await fetch(new URL(url.pathname + url.search, second.url))
  expect((await bytesOf(again)).equals(narOf(SMALL))).toBe(true)
})

test('25 clients at once, each on one connection, get all that they ask for', async () => {
  await using gateway = await testGateway({ storage: 'segments' })
  const nar = narOf(SMALL)
  const paths = await Promise.all(
    Array.from({ length: 40 }, (_, i) => gateway.hold(`path-${i}`, SMALL)),
  )
  const agents = paths.slice(0, 25).map(() => new Agent({ keepAlive: true, maxSockets: 1 }))
  await Promise.all(
    agents.map(async (agent) => {
      for (const { storePath } of paths) {
        const info = await rawHttp(gateway.port, `/${storePath.hashText}.narinfo`, { agent })
        const url = parseNarInfo(info.body.toString()).url
        const answer = await rawHttp(gateway.port, `/${url}`, { agent })
        expect(answer.body.equals(nar)).toBe(true)
      }
    }),
  )
  for (const agent of agents) {
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
    agent.destroy()
  }
})

test.each([
  '/',
  '/index.html',
  '/.narinfo',
  '/short.narinfo',
  `/${'e'.repeat(32)}.narinfo`, // "e" is no digit of nix32
  `/${'0'.repeat(33)}.narinfo`,
  `/${'0'.repeat(32)}.ls`,
  '/log/some.drv',
  '/realisations/sha256:00.doi',
  '/debuginfo/abc',
  '/build-trace-v2/x',
  '/nar/',
  '/nar/unknown.nar',
  '/nar/unknown.nar.xz',
  '/nar/..%2f..%2fetc%2fpasswd',
  '/nar/../../../etc/passwd',
  '/%2e%2e/%2e%2e/etc/passwd',
  '//nix-cache-info/..',
  `/nar/snix-castore/${'A'.repeat(4)}/more`,
])('GET %s is a 404', async (path) => {
  await using gateway = await testGateway()
  const answer = await rawHttp(gateway.port, path)
  expect(answer).toMatchObject({ status: 404, whole: true })
})

test.each([
  '/nar/snix-castore/',
  '/nar/snix-castore/!!!',
  '/nar/snix-castore/AAAA',
  '/nar/snix-castore/AAAA?path=nonsense',
  '/nar/tvix-castore/GhoSGC9uaXgvc3RvcmUvc29tZXdoZXJlZWxzZQ==',
  `/nar/snix-castore/${'A'.repeat(6001)}`,
  '/%zz',
  `/${'x'.repeat(9000)}.narinfo`,
  `/${'x'.repeat(100_000)}`,
])('a client that GETs nonsense is told so (%#)', async (path) => {
  await using gateway = await testGateway()
  const { status } = await rawHttp(gateway.port, path)
  expect(status).toBeGreaterThanOrEqual(400)
  expect(status).toBeLessThan(500)
  expect((await fetch(`${gateway.url}/nix-cache-info`)).status).toBe(200)
})

test.each(['POST', 'DELETE', 'PATCH', 'OPTIONS'])('%s is answered with 404', async (method) => {
  await using gateway = await testGateway()
  expect((await fetch(`${gateway.url}/nix-cache-info`, { method })).status).toBe(404)
})
