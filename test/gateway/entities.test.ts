import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { encodeRoot } from '../../src/castore/model/directory-codec.ts'
import { noise } from '../fixtures/content.ts'
import { packed } from '../nar/packed.ts'
import { directory, file, narOf, symlink } from '../nar/trees.ts'
import { rawHttp } from './raw-http.ts'
import { type TestGateway, testGateway } from './test-gateway.ts'
import { put } from './uploading.ts'

const TREE = directory({
  large: file(Buffer.concat([noise(700_000, 'large'), Buffer.alloc(700_000)])),
  link: symlink('large'),
})
const NAR = narOf(TREE)

async function heldNar(): Promise<{ gateway: TestGateway; path: string }> {
  const gateway = await testGateway()
  const { node } = await gateway.hold('tree', TREE)
  const root = Buffer.from(encodeRoot(node)).toString('base64url')
  return { gateway, path: `/nar/snix-castore/${root}` }
}

const get = (
  { port }: TestGateway,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
) => rawHttp(port, path, { headers, method })

test('a NAR has a strong tag of its own, and may be kept for ever', async () => {
  const { gateway, path } = await heldNar()
  await using _ = gateway
  const { headers } = await get(gateway, path)
  expect(headers.etag).toMatch(/^"[0-9a-f]{64}"$/)
  expect(headers['cache-control']).toBe('public, max-age=31536000, immutable')
  expect(headers.vary).toBe('Accept-Encoding')
  const other = await gateway.hold('other', symlink('elsewhere'))
  const root = Buffer.from(encodeRoot(other.node)).toString('base64url')
  expect((await get(gateway, `/nar/snix-castore/${root}`)).headers.etag).not.toBe(headers.etag)
  expect((await get(gateway, path.replace('snix', 'tvix'))).headers.etag).toBe(headers.etag)
})

test('who has it already is told so, and nothing sent', async () => {
  const { gateway, path } = await heldNar()
  await using _ = gateway
  const etag = (await get(gateway, path)).headers.etag!
  for (const known of [etag, `W/${etag}`, '*', `"x", ${etag}`, etag.replace(/"$/, '-zstd"')]) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await get(gateway, path, { 'if-none-match': known }, method)
      expect({ known, status: answer.status }).toEqual({ known, status: 304 })
      expect(answer.headers.etag).toBe(etag)
      expect(answer.body).toHaveLength(0)
    }
  }
  expect((await get(gateway, path, { 'if-none-match': '"other"' })).status).toBe(200)
})

test('several ranges come as one multipart body', async () => {
  const { gateway, path } = await heldNar()
  await using _ = gateway
  const range = 'bytes=0-99, 1000-1999, 5-200, -50, 99999999-'
  const answer = await get(gateway, path, { range })
  expect(answer.status).toBe(206)
  expect(answer.headers['content-length']).toBe(`${answer.body.length}`)
  const [, boundary] = /^multipart\/byteranges; boundary=(.+)$/.exec(
    answer.headers['content-type']!,
  )!
  const expected = [
    [0, 200],
    [1000, 1999],
    [NAR.length - 50, NAR.length - 1],
  ] as const
  const parts = expected.map(([first, last], i) =>
    Buffer.concat([
      Buffer.from(
        `${i === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: application/x-nix-nar\r\n`,
      ),
      Buffer.from(`Content-Range: bytes ${first}-${last}/${NAR.length}\r\n\r\n`),
      NAR.subarray(first, last + 1),
    ]),
  )
  const whole = Buffer.concat([...parts, Buffer.from(`\r\n--${boundary}--\r\n`)])
  expect(answer.body.equals(whole)).toBe(true)
})

test('ranges that overlap come once, and too many not at all', async () => {
  const { gateway, path } = await heldNar()
  await using _ = gateway
  const range = `bytes=${Array.from({ length: 30 }, (_, i) => `${i}-1000`).join(',')}`
  const { status, headers, body } = await get(gateway, path, { range })
  expect(status).toBe(206)
  expect(headers['content-range']).toBe(`bytes 0-1000/${NAR.length}`)
  expect(body.equals(NAR.subarray(0, 1001))).toBe(true)
  const many = `bytes=${Array.from({ length: 200 }, (_, i) => `${i * 9}-${i * 9}`).join(',')}`
  const refused = await get(gateway, path, { range: many })
  expect(refused.status).toBe(416)
  expect(refused.headers['content-range']).toBe(`bytes */${NAR.length}`)
})

test('a range counts only while the NAR is still the one that the client has', async () => {
  const { gateway, path } = await heldNar()
  await using _ = gateway
  const etag = (await get(gateway, path)).headers.etag!
  const asked = async (ifRange: string) =>
    (await get(gateway, path, { range: 'bytes=10-19', 'if-range': ifRange })).status
  expect(await asked(etag)).toBe(206)
  expect(await asked(`W/${etag}`)).toBe(200)
  expect(await asked('"another"')).toBe(200)
  expect(await asked('Sat, 21 Nov 2026 06:00:00 GMT')).toBe(200)
})

test('HEAD says what GET would, and nothing of ranges', async () => {
  const { gateway, path } = await heldNar()
  await using _ = gateway
  const asked: Record<string, string>[] = [
    {},
    { range: 'bytes=0-9' },
    { 'accept-encoding': 'zstd' },
  ]
  for (const headers of asked) {
    const head = await get(gateway, path, headers, 'HEAD')
    const { range: _range, ...rest } = headers
    const whole = await get(gateway, path, rest)
    expect(head.status).toBe(200)
    for (const name of ['content-length', 'etag', 'content-encoding', 'accept-ranges', 'vary']) {
      expect(head.headers[name]).toBe(whole.headers[name])
    }
  }
})

describe('compressed for the way', () => {
  test.each([
    ['zstd', true],
    ['gzip, deflate, br, zstd', true],
    ['ZSTD;q=0.5', true],
    ['zstd;q=0.5, identity;q=0.5', true],
    ['zstd;q=0.5, identity', false],
    ['zstd;q=0', false],
    ['zstd;q=2', false],
    ['gzip, br', false],
    ['*', false],
    ['', false],
    ['identity', false],
    [`zstd${', x'.repeat(2000)}`, false],
  ])('with Accept-Encoding %s: %s', async (acceptEncoding, isZstd) => {
    const { gateway, path } = await heldNar()
    await using _ = gateway
    const answer = await get(gateway, path, { 'accept-encoding': acceptEncoding })
    expect(answer.headers['content-encoding']).toBe(isZstd ? 'zstd' : undefined)
    const nar = isZstd ? zstdDecompressSync(answer.body) : answer.body
    expect(nar.equals(NAR)).toBe(true)
    if (!isZstd) return
    expect(answer.body.length).toBeLessThan(NAR.length)
    expect(answer.headers.etag).toMatch(/-zstd"$/)
    expect(answer.headers['accept-ranges']).toBeUndefined()
  })

  test('a part is never compressed', async () => {
    const { gateway, path } = await heldNar()
    await using _ = gateway
    const headers = { 'accept-encoding': 'zstd', range: 'bytes=0-9' }
    const answer = await get(gateway, path, headers)
    expect(answer.status).toBe(206)
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(answer.body.equals(NAR.subarray(0, 10))).toBe(true)
  })

  test('nor is what was uploaded compressed already', async () => {
    await using gateway = await testGateway()

    expect((await put(gateway, '/nar/x.nar.xz', await packed(NAR, 'xz'))).status).toBe(204)
    const answer = await get(gateway, '/nar/x.nar.xz', { 'accept-encoding': 'zstd' })
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(answer.headers['cache-control']).toBe('no-cache')
  })
})
