import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { CacheError, type CacheFault } from '../../src/upstream/cache-error.ts'
import {
  HttpCacheFiles,
  REDIRECTS_MAX,
  type UpstreamLimits,
} from '../../src/upstream/http-cache-files.ts'
import { Netrc } from '../../src/upstream/netrc.ts'
import { RESUMPTIONS_MAX } from '../../src/upstream/resumed-body.ts'
import { parseUpstreamUrl } from '../../src/upstream/upstream-url.ts'
import { bodyOf, faultOf } from '../contracts/cache-files-contract.ts'
import { allBytes, call, noise } from '../fixtures/content.ts'
import { answering, failingCache, type Misdeed } from '../fixtures/failing-cache.ts'
import { NGINX_MISSING, type Served, startNginxCache } from '../fixtures/nginx-cache.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'

/** Short, where something never comes; elsewhere a busy machine has its time. */
const SHORT = { connectMs: 300, answerMs: 300, stallMs: 300 }

function opened(
  url: string,
  {
    netrc = Netrc.none(),
    env = {},
    limits = {},
  }: { netrc?: Netrc; env?: Record<string, string>; limits?: UpstreamLimits } = {},
): HttpCacheFiles & AsyncDisposable {
  const { location, name } = parseUpstreamUrl(url)
  if (location.kind !== 'http') throw new Error('no URL of HTTP')
  const files = new HttpCacheFiles(
    { clock: systemClock, netrc },
    { ...limits, ...location, name, env },
  )
  return Object.assign(files, { [Symbol.asyncDispose]: () => files.close() })
}

/** What reading a file comes to: its bytes, or the fault. */
async function outcome(
  url: string,
  limits: UpstreamLimits = {},
): Promise<Buffer | CacheFault | undefined> {
  await using files = opened(url, { limits })
  try {
    const file = await files.get('nar/x.nar', call)
    return file === undefined ? undefined : await allBytes(file.bytes)
  } catch (error) {
    if (error instanceof CacheError) return error.fault
    throw error
  }
}

async function outcomeOf(
  misdeed: Misdeed,
  limits: UpstreamLimits = {},
): Promise<Awaited<ReturnType<typeof outcome>>> {
  await using cache = await failingCache(misdeed)
  return await outcome(`http://127.0.0.1:${cache.port}`, limits)
}

describe('a cache that dies', () => {
  test('before it is reached', async () => {
    expect(await outcome('http://name.invalid')).toMatchObject({ code: 'unreachable' })
    expect(await outcome('http://127.0.0.1:1')).toMatchObject({ code: 'unreachable' })
  })

  test('as a black hole', async () => {
    const beganMs = systemClock.now()
    expect(await outcomeOf(() => undefined, SHORT)).toMatchObject({ code: 'unreachable' })
    expect(systemClock.now() - beganMs).toBeLessThan(5_000)
  })

  test('by talking no TLS', async () => {
    await using cache = await failingCache(answering('200 OK'))
    const fault = await outcome(`https://127.0.0.1:${cache.port}`)
    expect(fault).toMatchObject({ code: 'unreachable' })
  })

  test.each<[string, CacheFault['code'], Misdeed]>([
    ['within its headers', 'broken', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-le')],
    ['at once', 'broken', (socket) => socket.destroy()],
    ['by what is no HTTP', 'broken', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['with an error', 'broken', answering('500 Internal Server Error', [], 'sorry')],
    ['with a redirect to nowhere', 'broken', answering('302 Found', ['location: ftp://a/b'])],
    ['with an answer of no meaning', 'broken', answering('204 No Content')],
    ['by asking who we are', 'refused', answering('401 Unauthorized')],
    ['with a part nobody asked for', 'broken', answering('206 Partial', ['x: y'], 'part')],
    ['with an unknown encoding', 'broken', answering('200 OK', ['content-encoding: lzma'], 'x')],
    ['within its body', 'cut-off', answering('200 OK', ['content-length: 100'], 'only this')],
    [
      'within a chunk',
      'cut-off',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\nonly'),
    ],
  ])('%s', async (_, code, misdeed) => {
    expect(await outcomeOf(misdeed)).toMatchObject({ code })
  })

  test('by standing still', async () => {
    const still: Misdeed = (socket) =>
      void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this')
    expect(await outcomeOf(still, SHORT)).toMatchObject({ code: 'cut-off', bytes: 9 })
  })

  test.each(['404 Not Found', '403 Forbidden', '410 Gone'])(
    'with %s has no file',
    async (status) => {
      expect(await outcomeOf(answering(status))).toBeUndefined()
    },
  )

  test('by being busy, for as long as it says', async () => {
    const slow = answering('429 Too Many Requests', ['retry-after: 7'])
    expect(await outcomeOf(slow)).toMatchObject({ code: 'busy', retryAfterMs: 7_000 })
    const down = answering('503 Unavailable')
    expect(await outcomeOf(down)).toMatchObject({ code: 'busy', retryAfterMs: undefined })
    const late = answering('503 Unavailable', ['retry-after: Fri, 31 Dec 2199 23:59:59 GMT'])
    expect(await outcomeOf(late)).toMatchObject({ code: 'busy', retryAfterMs: 300_000 })
  })
})

/** Serves a file, but never more than so many bytes of it at once. */
function breaking(bytes: Buffer, most: number, etagOf: (number: number) => string): Misdeed {
  return (socket, { headers }, number) => {
    const [, start] = /range: bytes=(\d+)-/.exec(headers) ?? []
    const etag = etagOf(number)
    const isSame = headers.includes(`if-range: ${etag}`)
    const from = start !== undefined && isSame ? Number(start) : 0
    const status = from > 0 ? '206 Partial Content' : '200 OK'
    const range =
      from > 0 ? [`content-range: bytes ${from}-${bytes.length - 1}/${bytes.length}`] : []
    const length = `content-length: ${bytes.length - from}`
    const head = [`HTTP/1.1 ${status}`, `etag: ${etag}`, length, ...range, '', '']
    socket.write(head.join('\r\n'))
    socket.end(bytes.subarray(from, from + most))
  }
}

describe('a body that breaks off', () => {
  const bytes = noise(100_000)

  test('is continued, and comes as one', async () => {
    await using cache = await failingCache(breaking(bytes, 30_000, () => '"a"'))
    const read = await outcome(`http://127.0.0.1:${cache.port}`)
    expect(Buffer.compare(read as Buffer, bytes)).toBe(0)
    expect(cache.requests).toHaveLength(4)
    expect(cache.requests[1]?.headers).toContain('range: bytes=30000-')
  })

  test('is given up after a few times', async () => {
    await using cache = await failingCache(breaking(bytes, 1_000, () => '"a"'))
    const fault = await outcome(`http://127.0.0.1:${cache.port}`)
    expect(fault).toMatchObject({ code: 'cut-off', bytes: 1_000 * (RESUMPTIONS_MAX + 1) })
    expect(cache.requests).toHaveLength(RESUMPTIONS_MAX + 1)
  })

  test('is given up at once where nothing comes', async () => {
    await using cache = await failingCache(breaking(bytes, 0, () => '"a"'))
    const fault = await outcome(`http://127.0.0.1:${cache.port}`)
    expect(fault).toMatchObject({ code: 'cut-off', bytes: 0 })
    expect(cache.requests).toHaveLength(1)
  })

  test('is not continued by another file, nor without a tag that says that it is the same', async () => {
    await using other = await failingCache(breaking(bytes, 30_000, (number) => `"${number}"`))
    const fault = await outcome(`http://127.0.0.1:${other.port}`)
    expect(fault).toMatchObject({ code: 'cut-off', bytes: 30_000 })
    await using weak = await failingCache(breaking(bytes, 30_000, () => 'W/"a"'))
    expect(await outcome(`http://127.0.0.1:${weak.port}`)).toMatchObject({ code: 'cut-off' })
    expect(weak.requests).toHaveLength(1)
  })
})

test('a request on a connection that was closed meanwhile is made again', async () => {
  const twice: Misdeed = (socket, request, number) =>
    number === 0 ? socket.destroy() : answering('200 OK', [], 'here')(socket, request, number)
  expect(String(await outcomeOf(twice))).toBe('here')
})

test('what a cache stores compressed comes as it was', async () => {
  await using cache = await failingCache((socket) => {
    const packed = gzipSync('the narinfo')
    socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}`)
    socket.write('\r\n\r\n')
    socket.end(packed)
  })
  expect(String(await outcome(`http://127.0.0.1:${cache.port}`))).toBe('the narinfo')
})

test('nobody but the cache is told who we are', async () => {
  await using other = await failingCache(answering('200 OK', [], 'elsewhere'))
  const to = `location: http://localhost:${other.port}/x`
  await using cache = await failingCache(answering('302 Found', [to]))
  const read = await outcome(`http://nix:secret@127.0.0.1:${cache.port}`)
  expect(String(read)).toBe('elsewhere')
  const basic = `authorization: basic ${Buffer.from('nix:secret').toString('base64')}`
  expect(cache.requests[0]?.headers).toContain(basic.toLowerCase())
  expect(other.requests[0]?.headers).not.toContain('authorization')
})

test('a proxy of the environment is asked', async () => {
  await using proxy = await failingCache((socket, { line }, number) => {
    if (/^CONNECT name\.invalid:80 /.test(line)) socket.write('HTTP/1.1 200 OK\r\n\r\n')
    else answering('200 OK', [], 'by proxy')(socket, { line, headers: '' }, number)
  })
  const env = { http_proxy: `http://127.0.0.1:${proxy.port}` }
  await using files = opened('http://name.invalid', { env })
  expect(String(await allBytes((await files.get('x', call))!.bytes))).toBe('by proxy')
  await using direct = opened('http://name.invalid', { env: { ...env, no_proxy: 'name.invalid' } })
  expect(await faultOf(direct.get('x', call))).toBe('unreachable')
})

test('a proxy that is none is no secret told', async () => {
  await using files = opened('http://127.0.0.1:1', { env: { http_proxy: 'me:hunter2@proxy' } })
  const asked = files.get('x', call)
  await expect(asked).rejects.toThrow('has no HTTP URL')
  expect(await faultOf(asked)).toBe('unreachable')
  expect(await asked.catch(({ message, cause }) => `${message} ${cause}`)).not.toContain('hunter2')
})

test('who asks a cache that is closed is told', async () => {
  const files = opened('http://127.0.0.1:1')
  await files.close()
  expect(await faultOf(files.get('x', call))).toBe('unreachable')
})

describe.skipIf(NGINX_MISSING)(`nginx${NGINX_MISSING ?? ''}`, () => {
  const stack = new AsyncDisposableStack()
  let nginx: Served
  beforeAll(async () => {
    const { path } = stack.use(await temporaryDirectory())
    await mkdir(join(path, 'files'))
    await writeFile(join(path, 'files', 'x'), 'hello')
    nginx = stack.use(await startNginxCache(join(path, 'files'), path))
  })
  afterAll(() => stack.disposeAsync())

  async function textOf(files: HttpCacheFiles, name: string): Promise<string> {
    return String(await allBytes((await files.get(name, call))!.bytes))
  }

  test('who we are is in the URL, or in the netrc file', async () => {
    const at = `127.0.0.1:${nginx.port}/guarded`
    const line = (password: string): Netrc =>
      Netrc.parse(`machine 127.0.0.1 login nix password "${password}"`)
    await using said = opened(`http://nix:pass%20word@${at}`, { netrc: line('wrong') })
    expect(await textOf(said, 'x')).toBe('hello')
    await using known = opened(`http://${at}`, { netrc: line('pass word') })
    expect(await textOf(known, 'x')).toBe('hello')
    await using wrong = opened(`http://${at}`, { netrc: line('wrong') })
    expect(await faultOf(wrong.get('x', call))).toBe('refused')
    await using nobody = opened(`http://${at}`)
    expect(await faultOf(nobody.has('x', call))).toBe('refused')
  })

  test('redirects are followed, a few, and not for uploads', async () => {
    await using moved = opened(`http://127.0.0.1:${nginx.port}/moved`)
    expect(await textOf(moved, 'x')).toBe('hello')
    expect(await moved.has('x', call)).toBe(true)
    expect(await faultOf(moved.put('y', bodyOf(noise(10)), 'text/plain', call))).toBe('broken')
    await using loop = opened(`http://127.0.0.1:${nginx.port}/loop`)
    const lost = loop.get('x', call)
    await expect(lost).rejects.toThrow(`more than ${REDIRECTS_MAX} times`)
  })

  test('names may have a query, and stay at the host', async () => {
    await using files = opened(`http://127.0.0.1:${nginx.port}/cache`)
    expect(await textOf(files, 'x?token=1')).toBe('hello')
    expect(await textOf(files, `http://127.0.0.1:${nginx.port}/cache/x`)).toBe('hello')
    for (const name of ['http://127.0.0.1:1/x', 'https://127.0.0.1/x', '//a/x', 'file:///x']) {
      expect(await faultOf(files.get(name, call)), name).toBe('bad-name')
    }
  })
})
